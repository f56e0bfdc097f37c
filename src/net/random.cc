#include "net/random.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"

namespace holdfast::net {

void fill_random(MutableBytes bytes) {
  constexpr std::size_t kNeverInterrupted = 256;  // getrandom(2): up to so many come whole
  while (!bytes.empty()) {
    const MutableBytes part = bytes.first(std::min(bytes.size(), kNeverInterrupted));
    CHECK(getrandom(part.data(), part.size(), 0) == static_cast<ssize_t>(part.size()));
    bytes = bytes.subspan(part.size());
  }
}

}  // namespace holdfast::net
