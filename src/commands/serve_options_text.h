#pragma once

// The option table told to people: help, documentation, and the configuration in force.

#include <string>

#include "commands/serve_options.h"

namespace holdfast::commands {

// What `holdfast serve --help` prints, at most 100 columns wide.
std::string serve_help();

// docs/options.md.
std::string serve_options_markdown();

// The configuration in force as TOML that --config takes, each line with a comment that says where
// the value came from. A secret is not shown: its line is a comment.
std::string configuration_toml(const ServeConfiguration& configuration);

}  // namespace holdfast::commands
