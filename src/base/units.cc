#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

namespace holdfast {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array kDurationUnits = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                       Unit{"min", 60'000}, Unit{"h", 3'600'000}};
constexpr std::array kByteUnits = {Unit{"", 1},
                                   Unit{"B", 1},
                                   Unit{"KiB", 1024},
                                   Unit{"MiB", 1048576},
                                   Unit{"GiB", 1073741824},
                                   Unit{"kB", 1e3},
                                   Unit{"MB", 1e6},
                                   Unit{"GB", 1e9}};
constexpr std::array kCountUnits = {Unit{"", 1}, Unit{"k", 1e3}, Unit{"M", 1e6}};

// The value in the smallest unit, or nothing where the text is not "number unit".
std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  for (const Unit& unit : units) {
    if (text == unit.name) return number * unit.factor;
  }
  if (number == 0 && text.empty()) return 0.0;
  return std::nullopt;
}

constexpr double kWholeMax = 9007199254740992.0;  // 2^53: above it a double skips whole numbers

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto value = parse_quantity(text, kDurationUnits);
  if (!value || *value > kWholeMax || (*value > 0 && *value < 1)) {
    return failure(
        fmt::format("'{}' is not a duration; write a number and a unit: 250ms, 25s, 5m, 1h", text));
  }
  return std::chrono::milliseconds(std::llround(*value));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto value = parse_quantity(text, kByteUnits);
  if (!value || *value > kWholeMax || *value != std::floor(*value)) {
    return failure(
        fmt::format("'{}' is not a size; write bytes or a unit: 512, 64KiB, 1MiB, 2GiB", text));
  }
  return static_cast<std::uint64_t>(*value);
}

Result<std::uint64_t> parse_count(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c != '_' && c != ',') plain.push_back(c);
  }
  const auto value = parse_quantity(plain, kCountUnits);
  if (!value || *value > kWholeMax || *value != std::floor(*value)) {
    return failure(fmt::format(
        "'{}' is not a count; write a whole number: 600000, 600_000, 600k, 1.5M", text));
  }
  return static_cast<std::uint64_t>(*value);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const double ns = static_cast<double>(duration.count());
  // From 999.5 on, three digits say 1000, which is 1 of the next unit (and would be written 1e+03).
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 999.5e3) return fmt::format("{:.3g} µs", ns / 1e3);
  if (ns < 999.5e6) return fmt::format("{:.3g} ms", ns / 1e6);
  if (ns < 60e9) return fmt::format("{:.3g} s", ns / 1e9);
  const auto seconds = duration.count() / 1'000'000'000;
  if (seconds < 3600) {
    return seconds % 60 == 0 ? fmt::format("{} min", seconds / 60)
                             : fmt::format("{} min {} s", seconds / 60, seconds % 60);
  }
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string format_bytes(double bytes) {
  constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < kNames.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kNames[unit]);
}

std::string format_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t place = digits.size(); place > 3;) {
    place -= 3;
    digits.insert(place, ",");
  }
  return digits;
}

}  // namespace holdfast
