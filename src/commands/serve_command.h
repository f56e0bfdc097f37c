#pragma once

#include <CLI/App.hpp>

namespace holdfast::commands {

// `holdfast serve`. Runs until SIGTERM or SIGINT has drained it (exit code 0), a second one has cut
// it short (1), or it cannot start (1; 2 where the options are at fault).
void add_serve_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
