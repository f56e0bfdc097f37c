#include "commands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "commands/channel_commands.h"
#include "commands/docs_command.h"
#include "commands/doctor_command.h"
#include "commands/help_text.h"
#include "commands/load_command.h"
#include "commands/nearest_name.h"
#include "commands/plan_command.h"
#include "commands/report_command.h"
#include "commands/serve_command.h"
#include "commands/version.h"

namespace holdfast::commands {
namespace {

constexpr std::string_view kOverview =
    "holdfast holds WebSocket connections: hundreds of thousands of them on one small machine.\n"
    "\n"
    "  holdfast doctor --connections 600000 --fix   ready this machine for them (and back: "
    "--undo)\n"
    "  holdfast serve                               hold them, and ping them so that they stay\n"
    "  holdfast load ws://127.0.0.1:8080/           open many, hold them, and report what was "
    "held\n"
    "  holdfast report A.json B.json                join the reports of several load machines\n"
    "  holdfast plan --connections 600000           memory, CPU, bandwidth and price of so many\n"
    "  holdfast key new                             make an app for the Pusher protocol\n"
    "  holdfast publish CHANNEL EVENT DATA          and speak to its channels: publish, subscribe\n"
    "  holdfast reload                              let a server read its apps again\n"
    "\n"
    "`holdfast COMMAND --help` tells the options of each; `holdfast --version` what this build and "
    "kernel can do.\n";

std::string_view without_dashes(std::string_view argument) {
  while (argument.starts_with('-')) argument.remove_prefix(1);
  return argument.substr(0, argument.find('='));
}

// The subcommand that was chosen, or the program itself.
const CLI::App& deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : deepest(*chosen.front());
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? "holdfast"
                                     : full_name(*app.get_parent()) + " " + app.get_name();
}

std::vector<std::string> known_names(const CLI::App& app, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back(name);
    }
    return names;
  }
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!subcommand->get_group().empty()) names.push_back(subcommand->get_name());
  }
  return names;
}

// "unknown option '--lisen'; did you mean --listen?"
std::string describe_stranger(const CLI::App& app, std::string_view argument) {
  const bool option = argument.starts_with('-');
  const std::vector<std::string> names = known_names(app, option);
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::string_view nearest = nearest_name(without_dashes(argument), candidates);
  const std::string_view what = option                        ? "unknown option"
                                : app.get_parent() == nullptr ? "unknown command"
                                                              : "unexpected argument";
  std::string text = fmt::format("{} '{}'", what, argument);
  if (!nearest.empty()) text += fmt::format("; did you mean {}{}?", option ? "--" : "", nearest);
  return text;
}

int report_usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = deepest(app);
  const std::string name = full_name(command);
  const auto strangers = command.remaining();
  const bool stranger =
      dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !strangers.empty();
  const std::string what = stranger ? describe_stranger(command, strangers.front()) : error.what();
  fmt::print(stderr, "{}: {}\nTry `{} --help`.\n", name, what, name);
  return 2;
}

}  // namespace

int run(int argc, char** argv) {
  int exit_code = 0;
  CLI::App app;
  app.name("holdfast");
  app.formatter(help_formatter());
  bool version = false;
  app.add_flag("--version,-V", version, "Print the version, and what this build and kernel can do");

  add_serve_command(app, exit_code);
  add_load_command(app, exit_code);
  add_doctor_command(app, exit_code);
  add_plan_command(app, exit_code);
  add_report_command(app, exit_code);
  add_channel_commands(app, exit_code);
  add_docs_command(app, exit_code);
  app.require_subcommand(0, 1);
  // Last: a subcommand takes over its parent's formatter when it is added, and they share
  // help_formatter().
  app.formatter_fn([](const CLI::App*, const std::string&, CLI::AppFormatMode) {
    return std::string(kOverview);
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_usage_error(app, error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "holdfast: {}\n", error.what());
    return 1;
  }
  if (version) {
    fmt::print("{}", version_text());
  } else if (app.get_subcommands().empty()) {
    fmt::print("{}", kOverview);
  }
  return exit_code;
}

}  // namespace holdfast::commands
