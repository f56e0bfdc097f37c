#pragma once

#include <CLI/CLI.hpp>

namespace holdfast::commands {

// `holdfast load URL`: opens connections, holds them, and reports what became of them. `exit_code`:
// 0 when everything asked for was opened and held, 1 when not, 2 for a usage error. Both references
// outlive the parsing.
void add_load_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
