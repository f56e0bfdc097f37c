#include "commands/serve_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "commands/serve_options.h"
#include "commands/serve_options_text.h"
#include "commands/serve_run.h"

namespace holdfast::commands {
namespace {

// What CLI11 collects while it parses; lives as long as the callbacks that hold it.
struct Collected {
  ServeInputs inputs;
  bool print_config = false;
};

void add_row(CLI::App& command, const OptionRow& row, std::vector<std::string>& texts) {
  const std::string flag = "--" + std::string(row.name);
  if (is_flag(row)) {
    // CLI11 counts a flag: below zero for --flag=false.
    command.add_flag_function(
        flag, [&texts](std::int64_t count) { texts = {count > 0 ? "true" : "false"}; });
    return;
  }
  command.add_option(flag, texts)->allow_extra_args(false);
}

int run_serve(Collected& collected) {
  std::erase_if(collected.inputs.command_line,
                [](const auto& entry) { return entry.second.empty(); });
  collected.inputs.environment = process_environment();
  const Result<ServeConfiguration> configuration = resolve_serve_options(collected.inputs);
  if (!configuration) {
    fmt::print(stderr,
               "holdfast serve: the options are not right:\n{}\nTry `holdfast serve --help`.\n",
               configuration.error().message);
    return 2;
  }
  if (collected.print_config) {
    for (const std::string& warning : configuration->warnings)
      fmt::print(stderr, "warning: {}\n", warning);
    fmt::print("{}", configuration_toml(*configuration));
    return 0;
  }
  return serve(*configuration);
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("serve", "Hold WebSocket connections");
  auto collected = std::make_shared<Collected>();
  command->formatter_fn(
      [](const CLI::App*, const std::string&, CLI::AppFormatMode) { return serve_help(); });
  command->add_option("--config", collected->inputs.config_path);
  command->add_flag("--print-config", collected->print_config);
  for (const OptionRow& row : serve_option_table()) {
    add_row(*command, row, collected->inputs.command_line[std::string(row.name)]);
  }
  command->callback([collected, &exit_code] { exit_code = run_serve(*collected); });
}

}  // namespace holdfast::commands
