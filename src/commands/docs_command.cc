#include "commands/docs_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "commands/serve_options_text.h"

namespace holdfast::commands {

void add_docs_command(CLI::App& app, int& exit_code) {
  CLI::App* docs = app.add_subcommand("docs", "Print generated documentation")->group("");
  docs->require_subcommand(1);
  CLI::App* options = docs->add_subcommand("options", "Print docs/options.md");
  options->callback([&exit_code] {
    fmt::print("{}", serve_options_markdown());
    exit_code = 0;
  });
}

}  // namespace holdfast::commands
