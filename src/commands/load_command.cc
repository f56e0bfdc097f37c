#include "commands/load_command.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "commands/report_files.h"
#include "commands/version.h"
#include "load/load_options.h"
#include "load/load_plan.h"
#include "load/load_run.h"
#include "load/progress.h"
#include "load/report_text.h"
#include "load/verdict.h"

namespace holdfast::commands {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "written by a signal handler");

void interrupt(int) { interrupted.store(true, std::memory_order_relaxed); }

// The first ^C ends the run with a report of what was so far; the second ends the process.
void end_early_on_signals() {
  struct sigaction action{};
  action.sa_handler = interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int fail(const Error& error, int exit_code) {
  fmt::print(stderr, "holdfast load: {}\n", error.message);
  return exit_code;
}

std::string help_of(const load::LoadOption& option) {
  std::string text(option.help);
  text += fmt::format(" Default: {}.", option.default_text);
  if (!option.bounds.empty()) text += fmt::format(" {}.", option.bounds);
  if (!option.reason.empty()) text += fmt::format(" {}", option.reason);
  return text;
}

// Tried on options that nobody uses, so that parsing itself tells what is wrong, and with which
// option.
CLI::Validator validator_of(const load::LoadOption& option) {
  const auto refuse = [&option](std::string& text) -> std::string {
    load::LoadOptions scratch;
    const auto applied = option.apply(scratch, text);
    if (applied) return {};
    const std::string& message = applied.error().message;
    return option.secret || message.starts_with('\'') ? message
                                                      : fmt::format("'{}' {}", text, message);
  };
  return CLI::Validator(refuse, "");
}

struct LoadArguments {
  load::LoadOptions options;
  std::string command_line;
};

void add_option(CLI::App& command, const load::LoadOption& option, load::LoadOptions& options) {
  const auto apply = [&option, &options](const std::string& text) {
    [[maybe_unused]] const auto applied = option.apply(options, text);  // the validator has seen it
  };
  CLI::Option* added =
      option.placeholder.empty()
          ? command.add_flag_function(
                std::string(option.name),
                [apply](std::int64_t count) { apply(count > 0 ? "true" : "false"); })
          : command.add_option_function<std::string>(std::string(option.name), apply)
                ->check(validator_of(option));
  added->description(help_of(option));
  added->envname(load::environment_name(option));
  if (!option.placeholder.empty()) added->type_name(std::string(option.placeholder));
}

// What was asked, so that the report can be made again; without its secrets.
std::string command_line_of(const CLI::App& command, const load::LoadOptions& options) {
  std::string line = fmt::format("holdfast load {}", options.url);
  for (const load::LoadOption& option : load::load_option_table()) {
    const CLI::Option* given = command.get_option_no_throw(std::string(option.name));
    if (given == nullptr || given->count() == 0) continue;
    line += fmt::format(" {}", option.name);
    if (!option.placeholder.empty())
      line += fmt::format(" {}", option.secret ? "..." : given->results().back());
  }
  return line;
}

int run_load(const load::LoadOptions& options, const std::string& command_line) {
  auto plan = load::plan_load(options);
  if (!plan) return fail(plan.error(), 2);
  for (const std::string& file : {options.report, options.html}) {
    if (auto writable = check_writable(file); !writable) return fail(writable.error(), 2);
  }
  if (plan->fewer > 0)
    fmt::print(stderr,
               "holdfast load: {} of {} connections are out of reach here and count as lost\n",
               plan->fewer, options.connections);
  end_early_on_signals();
  load::Progress progress(stderr, isatty(STDERR_FILENO) == 1, plan->cpus);
  auto report = load::run_load(*plan, progress, interrupted);
  if (!report) return fail(report.error(), 1);
  report->version = kGitDescription;
  report->command_line = command_line;
  report->verdict = load::judge(*report);
  fmt::print("{}", load::to_text(*report));
  std::fflush(stdout);
  if (auto written = write_report(*report, options.report, options.html); !written)
    return fail(written.error(), 1);
  return load::exit_code_of(report->verdict);
}

}  // namespace

void add_load_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<load::LoadOptions>();
  CLI::App* command = app.add_subcommand(
      "load", "Open many WebSocket connections, hold them, and report what was held");
  command->add_option("URL", options->url, "What to load: ws://HOST:PORT/PATH, or wss://.")
      ->required()
      ->envname("HOLDFAST_LOAD_URL");
  for (const load::LoadOption& option : load::load_option_table())
    add_option(*command, option, *options);
  command->footer(
      "Verdict: held, lost N, or generator-bound (all was held, but a rate or latency is the "
      "generator's own).\n"
      "Exit code: 0 when everything asked for was opened and held, 1 when not, 2 for a usage "
      "error.");
  command->callback([command, options, &exit_code] {
    exit_code = run_load(*options, command_line_of(*command, *options));
  });
}

}  // namespace holdfast::commands
