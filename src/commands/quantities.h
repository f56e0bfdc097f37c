#pragma once

// Quantities on a command line: validators whose errors say what would be right.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::commands {

// As parse_count(), parse_bytes() and parse_duration() of base/units.h read them, bounds included.
CLI::Validator count_between(std::uint64_t least, std::uint64_t most);
CLI::Validator auto_or_count_between(std::uint64_t least, std::uint64_t most);
CLI::Validator bytes_between(std::uint64_t least, std::uint64_t most);
CLI::Validator duration_between(const std::string& least, const std::string& most);
CLI::Validator number_between(double least, double most);  // plain decimals
// One of some words.
CLI::Validator one_of(std::vector<std::string> words);

// 0 for "auto". The text has passed auto_or_count_between().
std::uint64_t count_or_auto(const std::string& text);

}  // namespace holdfast::commands
