#pragma once

#include <cstdint>

#include "base/time.h"

namespace holdfast::net {

// CLOCK_MONOTONIC. Any thread. The only reading of a clock in the program, besides a loop's now().
Instant monotonic_now();
// CLOCK_REALTIME, in seconds since 1970: for dates that people read. Never for measuring: it may
// jump.
std::int64_t unix_seconds_now();
std::int64_t unix_milliseconds_now();

}  // namespace holdfast::net
