// RAND_set_rand_method() is deprecated, in favour of a provider that would do the same in sixty
// lines.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "simulator/foreseen_keys.h"

#include <openssl/rand.h>

#include "base/check.h"
#include "simulator/random.h"

namespace holdfast::simulator {
namespace {

Random chance(0);

int fill(unsigned char* bytes, int size) {
  for (int i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(chance.below(256));
  return 1;
}

int is_ready() { return 1; }

}  // namespace

void foresee_keys(std::uint64_t seed) {
  static const RAND_METHOD method = {nullptr, fill, nullptr, nullptr, fill, is_ready};
  chance = Random(seed);
  CHECK(RAND_set_rand_method(&method) == 1);
}

}  // namespace holdfast::simulator
