// Faults on purpose, one for each sanitizer: what shows that a build with sanitizers would report a
// real one. Used only there.
#include <cstdio>
#include <limits>
#include <memory>
#include <string_view>
#include <thread>

namespace {

// Through this the compiler cannot see what the value is.
volatile int zero = 0;

int race() {
  int shared = 0;
  std::thread other([&] { shared = 1; });
  shared = 2;
  other.join();
  return shared;
}

int use_after_free() {
  auto owner = std::make_unique<int>(zero);
  const int* stale = owner.get();
  owner.reset();
  return *stale;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
}

int overflow() { return std::numeric_limits<int>::max() - zero + (zero + 1); }

}  // namespace

int main(int count, char** arguments) {
  const std::string_view fault = count == 2 ? arguments[1] : "";
  int value = 0;
  if (fault == "race")
    value = race();
  else if (fault == "use_after_free")
    value = use_after_free();
  else if (fault == "overflow")
    value = overflow();
  else
    return 2;
  std::printf("%s: nobody noticed (%d)\n", arguments[1], value);
}
