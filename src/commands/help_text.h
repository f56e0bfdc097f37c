#pragma once

// How help looks: two columns, at most kHelpColumns wide, the same for every command.

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace holdfast::commands {

inline constexpr std::size_t kHelpColumns = 100;
inline constexpr std::size_t kHelpIndent = 30;  // where the right column begins

// Breaks at spaces, and keeps the line ends that are there; every line but the first is indented.
// Words longer than a line stay whole.
std::string wrapped(std::string_view text, std::size_t indent);

// One option: "  --io HOW        How bytes ...", with a line end.
std::string help_entry(std::string_view left, std::string_view text);

// For commands whose help CLI11 writes.
std::shared_ptr<CLI::FormatterBase> help_formatter();

}  // namespace holdfast::commands
