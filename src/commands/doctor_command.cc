#include "commands/doctor_command.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/units.h"
#include "commands/doctor_certificates.h"
#include "commands/quantities.h"
#include "doctor/examination_text.h"
#include "doctor/fixes.h"
#include "doctor/probes.h"
#include "doctor/worker_count.h"
#include "net/clock.h"

namespace holdfast::commands {
namespace {

struct DoctorArguments {
  std::string connections = "100,000";
  std::string role = "server";
  std::string workers = "auto";
  std::string root = "/";
  std::vector<std::string> tls_cert, tls_key;
  bool json = false;
  bool fix = false;
  bool undo = false;
};

// The word has passed its check.
doctor::Role role_of(std::string_view word) {
  if (word == "load") return doctor::Role::kLoad;
  return word == "both" ? doctor::Role::kBoth : doctor::Role::kServer;
}

doctor::Facts facts_of(const doctor::RootedFiles& files) {
  doctor::Facts facts = doctor::read_facts(files);
  if (files.is_this_machine()) facts.probes = doctor::probe_this_machine(files);
  return facts;
}

nlohmann::json to_json(const doctor::Report& report) {
  return {{"done", report.done}, {"failed", report.failed}};
}

void print_list(std::string_view title, const std::vector<std::string>& items) {
  if (items.empty()) return;
  fmt::print("{}\n", title);
  for (const std::string& item : items)
    fmt::print("  - {}", doctor::wrapped(item, 4, 100).substr(4));
}

int run_undo(const DoctorArguments& arguments, const doctor::RootedFiles& files) {
  const doctor::Report report = doctor::undo(files);
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::json{{"undo", to_json(report)}}.dump(2));
  } else if (report.done.empty() && report.failed.empty()) {
    fmt::print("Nothing to undo: {} is not there.\n", doctor::kStateFile);
  } else {
    print_list("Undone:", report.done);
    print_list("Could not be undone:", report.failed);
  }
  return report.failed.empty() ? 0 : 1;
}

void print_fix(const doctor::Fix& fix, const doctor::Report& report) {
  if (report.done.empty() && report.failed.empty())
    fmt::print("Nothing that --fix could improve.\n");
  print_list("Done:", report.done);
  print_list("Could not be done:", report.failed);
  print_list("Left to you:", fix.left_to_you);
  if (!report.done.empty()) {
    fmt::print(
        "\nLimits on open files count from the next login; for the service: systemctl "
        "daemon-reload && systemctl restart {}\n"
        "holdfast doctor --undo takes all of it back.\n",
        doctor::kServiceUnit);
  }
  fmt::print("\n");
}

doctor::Examination examine(const doctor::Facts& facts, const doctor::Demand& demand,
                            const DoctorArguments& arguments) {
  doctor::Examination examination = doctor::examine(facts, demand);
  for (doctor::Check& check :
       check_certificates(arguments.tls_cert, arguments.tls_key, net::unix_seconds_now()))
    examination.checks.push_back(std::move(check));
  return examination;
}

int run_doctor(const DoctorArguments& arguments) {
  if (arguments.tls_cert.size() != arguments.tls_key.size()) {
    fmt::print(stderr,
               "--tls-key: {} keys for {} certificates; give one for each, in their order\n",
               arguments.tls_key.size(), arguments.tls_cert.size());
    return 2;
  }
  const doctor::RootedFiles files(arguments.root);
  if (arguments.undo) return run_undo(arguments, files);

  const doctor::Demand demand{*parse_count(arguments.connections), role_of(arguments.role),
                              static_cast<std::uint32_t>(count_or_auto(arguments.workers)),
                              !arguments.tls_cert.empty()};
  doctor::Facts facts = facts_of(files);
  doctor::Examination examination = examine(facts, demand, arguments);
  nlohmann::json json;
  if (arguments.fix) {
    const doctor::Fix fix = doctor::plan_fix(examination, facts, files);
    const doctor::Report report = doctor::apply(fix, files);
    if (arguments.json) {
      json["fix"] = to_json(report);
      json["fix"]["left_to_you"] = fix.left_to_you;
    } else {
      print_fix(fix, report);
    }
    facts = facts_of(files);
    examination = examine(facts, demand, arguments);
  }
  if (arguments.json) {
    json.update(doctor::to_json(examination));
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", doctor::to_text(examination, facts));
  }
  return examination.fits() ? 0 : 1;
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = app.add_subcommand(
      "doctor",
      "What this machine allows, what N connections need, and what mends the difference.");
  command->footer(
      "Exit code: 0 when N connections fit and every certificate is good, 1 when not, 2 for a "
      "usage error.");
  command
      ->add_option("--connections", arguments->connections,
                   "Connections that this machine shall hold. Default: 100,000.")
      ->check(count_between(1, 1'000'000'000))
      ->type_name("N")
      ->envname("HOLDFAST_DOCTOR_CONNECTIONS");
  command
      ->add_option("--role", arguments->role,
                   "server, load (opens the connections, from another machine), or both (over "
                   "loopback). Default: server.")
      ->check(one_of({"server", "load", "both"}))
      ->type_name("ROLE")
      ->envname("HOLDFAST_DOCTOR_ROLE");
  command
      ->add_option("--workers", arguments->workers,
                   "Worker threads, as told to the server, or auto. Default: auto.")
      ->check(auto_or_count_between(1, doctor::kWorkersMax))
      ->type_name("N|auto")
      ->envname("HOLDFAST_DOCTOR_WORKERS");
  command
      ->add_option("--root", arguments->root,
                   "Folder with the /proc, /sys and /etc to look at; with a copy nothing is tried "
                   "out. Default: /.")
      ->check(CLI::Validator(CLI::ExistingDirectory).description(""))
      ->type_name("DIR")
      ->envname("HOLDFAST_DOCTOR_ROOT");
  command
      ->add_option("--tls-cert", arguments->tls_cert,
                   "A server's certificate (PEM) to look at: it can be read, its key belongs to "
                   "it, it lasts for 30 days or more. Several may be given.")
      ->type_name("FILE")
      ->envname("HOLDFAST_DOCTOR_TLS_CERT");
  command
      ->add_option("--tls-key", arguments->tls_key,
                   "The private key (PEM) of each certificate, in their order.")
      ->type_name("FILE")
      ->envname("HOLDFAST_DOCTOR_TLS_KEY");
  command->add_flag("--json", arguments->json, "Print JSON.")->envname("HOLDFAST_DOCTOR_JSON");
  CLI::Option* fix = command->add_flag("--fix", arguments->fix,
                                       "Set what may be set, now and by drop-ins for the next "
                                       "boot; the earlier values are recorded.");
  command
      ->add_flag("--undo", arguments->undo, "Restore what --fix changed, and remove its drop-ins.")
      ->excludes(fix);
  command->callback([arguments, &exit_code] { exit_code = run_doctor(*arguments); });
}

}  // namespace holdfast::commands
