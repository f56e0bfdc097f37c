#pragma once

#include <CLI/CLI.hpp>

namespace holdfast::commands {

// Adds `holdfast doctor`: what this machine allows against what N connections need. Once the line
// is parsed it runs, prints to stdout, and sets `exit_code`: 0 when N fits (after --undo: when all
// was taken back), else 1. `exit_code` must live as long as `app`.
void add_doctor_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
