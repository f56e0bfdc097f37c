#pragma once

// Quantities as people write and read them: "25s", "64KiB", "600,000".

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

// A number with a unit, and no sign: "250ms", "25s", "1.5m", "2h", "0". A bare number other than 0
// is refused: the unit is part of the meaning. The error names the text and shows a right one.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "0", "512", "64KiB", "1MiB", "2GiB", and the decimal "64kB", "1MB", "2GB".
Result<std::uint64_t> parse_bytes(std::string_view text);
// "600000", "600_000", "600,000", "600k", "1.5M".
Result<std::uint64_t> parse_count(std::string_view text);

std::string format_duration(
    std::chrono::nanoseconds duration);         // "250 ms", "25 s", "3 min 20 s", "12.5 µs"
std::string format_bytes(double bytes);         // "48 B", "3.8 KiB", "2.1 GiB"
std::string format_count(std::uint64_t count);  // "600,000"

}  // namespace holdfast
