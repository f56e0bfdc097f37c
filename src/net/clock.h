#pragma once

#include "base/time.h"

namespace holdfast::net {

// CLOCK_MONOTONIC. Any thread. The only reading of a clock in the program, besides a loop's now().
Instant monotonic_now();

}  // namespace holdfast::net
