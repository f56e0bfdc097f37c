#pragma once

#include <CLI/App.hpp>

namespace holdfast::commands {

// `holdfast docs options`: prints docs/options.md. For those who work on Holdfast; not in the
// overview.
void add_docs_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
