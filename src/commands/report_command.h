#pragma once

#include <CLI/CLI.hpp>

namespace holdfast::commands {

// `holdfast report A.json B.json…`: the reports of several load machines as one. `exit_code` as
// that of the load itself.
void add_report_command(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
