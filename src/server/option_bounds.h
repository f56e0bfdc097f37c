#pragma once

// The bounds of options.h. `holdfast serve` has checked them before, where the value was written; a
// program that builds on the library learns of them here.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "holdfast/options.h"

namespace holdfast::server {

struct OptionBounds {
  std::string_view name;  // of the field: "pong_timeout"
  std::variant<std::uint32_t Options::*, std::uint64_t Options::*, Options::Milliseconds Options::*>
      field;
  // Of durations in milliseconds.
  std::uint64_t least;
  std::uint64_t most;
  bool or_zero;  // which has a meaning of its own
};

// Of every number among the options.
std::span<const OptionBounds> option_bounds();

// The first that is out of its bounds: the option, its value and what would be right.
std::optional<std::string> option_out_of_bounds(const Options& options);

}  // namespace holdfast::server
