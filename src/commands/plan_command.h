#pragma once

#include <CLI/CLI.hpp>

namespace holdfast::commands {

// Adds `holdfast plan`: what N connections take, on how many machines, at what price. Once the line
// is parsed it runs, prints to stdout, and sets `exit_code`: 0, or 1 when --measure failed.
// `exit_code` must live as long as `app`.
void add_plan_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
