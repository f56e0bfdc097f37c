#pragma once

// Time as every room speaks of it. Only the net room reads a clock (net/clock.h); everyone else is
// handed an Instant, so that a worker can be replayed with a manual clock.

#include <chrono>
#include <cstdint>

namespace holdfast {

using Duration = std::chrono::nanoseconds;

// The monotonic clock's tag; it has no now() on purpose.
struct Monotonic {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};

using Instant = Monotonic::time_point;
inline constexpr Instant kNever = Instant::max();

// A coarse instant: milliseconds since the process's first reading, modulo 2^32 (49 days). What a
// connection stores: 4 bytes. Differences of two ticks less than 24 days apart are right across the
// wrap.
using Tick = std::uint32_t;
inline Tick tick_of(Instant instant) {
  return static_cast<Tick>(
      std::chrono::duration_cast<std::chrono::milliseconds>(instant.time_since_epoch()).count());
}
inline std::int32_t ticks_since(Tick now, Tick then) {
  return static_cast<std::int32_t>(now - then);
}

}  // namespace holdfast
