#include "commands/report_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "commands/report_files.h"
#include "load/report_merge.h"
#include "load/report_text.h"
#include "load/verdict.h"

namespace holdfast::commands {
namespace {

struct ReportArguments {
  std::vector<std::string> files;
  std::string report;
  std::string html;
};

int fail(const Error& error) {
  fmt::print(stderr, "holdfast report: {}\n", error.message);
  return 2;
}

int run_report(const ReportArguments& arguments) {
  std::vector<load::Report> reports;
  for (const std::string& file : arguments.files) {
    auto report = read_report(file);
    if (!report) return fail(report.error());
    reports.push_back(std::move(*report));
  }
  auto merged = load::merge_reports(reports);
  if (!merged) return fail(merged.error());
  fmt::print("{}", load::to_text(*merged));
  std::fflush(stdout);
  if (auto written = write_report(*merged, arguments.report, arguments.html); !written)
    return fail(written.error());
  return load::exit_code_of(merged->verdict);
}

}  // namespace

void add_report_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand(
      "report", "Join the reports of several load machines: histograms are added, not averaged");
  command
      ->add_option("FILES", arguments->files,
                   "Reports that `holdfast load --report` wrote; one is shown as it is.")
      ->required();
  command->add_option("--report", arguments->report, "Write the joint report as JSON.")
      ->type_name("FILE")
      ->envname("HOLDFAST_REPORT_REPORT");
  command
      ->add_option("--html", arguments->html, "Write the joint report as one self-contained page.")
      ->type_name("FILE")
      ->envname("HOLDFAST_REPORT_HTML");
  command->footer(
      "Exit code: 0 when everything asked for was opened and held, 1 when not, 2 for a usage "
      "error.");
  command->callback([arguments, &exit_code] { exit_code = run_report(*arguments); });
}

}  // namespace holdfast::commands
