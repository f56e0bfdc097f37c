#pragma once

// How fast one peer may talk: messages and bytes a second, each with a burst of one second's worth.
// Memory only with a limit set, and then only for those who talk.
//
// The generic cell rate algorithm: of each peer one instant is kept, the one at which all that it
// has said so far would have been said at exactly its rate. More than a second ahead of the clock
// is too fast.

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/check.h"
#include "base/time.h"

namespace holdfast::server {

class PeerRates {
 public:
  // Rates per second; 0: no limit. For descriptors below `descriptors`.
  PeerRates(std::uint32_t descriptors, std::uint32_t messages_per_second,
            std::uint64_t bytes_per_second)
      : messages_(descriptors, messages_per_second), bytes_(descriptors, bytes_per_second) {}

  bool are_limited() const { return messages_.rate != 0 || bytes_.rate != 0; }
  // A new peer has this descriptor.
  void reset(int descriptor) {
    if (messages_.rate != 0) messages_.said[descriptor] = 0;
    if (bytes_.rate != 0) bytes_.said[descriptor] = 0;
  }
  // False when this is one too many.
  bool take_message(int descriptor, Instant now) {
    return messages_.rate == 0 || messages_.take(descriptor, now, 1);
  }
  bool take_bytes(int descriptor, Instant now, std::uint64_t count) {
    return bytes_.rate == 0 || bytes_.take(descriptor, now, count);
  }

 private:
  struct Limit {
    Limit(std::uint32_t descriptors, std::uint64_t per_second)
        : rate(per_second),
          said(rate == 0
                   ? nullptr
                   : static_cast<std::int64_t*>(std::calloc(descriptors, sizeof(std::int64_t))),
               std::free) {
      CHECK(rate == 0 || said != nullptr);
    }
    bool take(int descriptor, Instant now, std::uint64_t count) {
      constexpr std::int64_t kSecond = 1'000'000'000;
      const std::int64_t clock = now.time_since_epoch().count();
      std::int64_t& at = said.get()[descriptor];
      at = (at < clock ? clock : at) + static_cast<std::int64_t>(count * kSecond / rate);
      return at - clock <= kSecond;
    }
    std::uint64_t rate;
    std::unique_ptr<std::int64_t[], void (*)(void*)> said;  // nanoseconds of the monotonic clock
  };

  Limit messages_, bytes_;
};

}  // namespace holdfast::server
