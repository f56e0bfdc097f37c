#pragma once

#include <CLI/CLI.hpp>

namespace holdfast::commands {

// `holdfast key new`, `publish`, `subscribe` and `reload`: the channel protocol from a terminal.
void add_channel_commands(CLI::App& app, int& exit_code);

}  // namespace holdfast::commands
