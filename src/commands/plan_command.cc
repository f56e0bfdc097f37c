#include "commands/plan_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "base/units.h"
#include "commands/quantities.h"
#include "doctor/examination_text.h"
#include "doctor/facts.h"
#include "doctor/measure.h"
#include "doctor/probes.h"
#include "doctor/sizing_text.h"

namespace holdfast::commands {
namespace {

struct PlanArguments {
  std::string connections = "100,000";
  double message_rate = 0;
  std::string message_bytes = "100";
  std::string ping_interval = "25s";
  std::optional<double> price_per_hour;
  std::optional<double> egress_per_gb;
  std::string memory;      // of the machine; empty: as this one
  double cpus = 0;         // 0: as this one
  std::string open_files;  // empty: as here
  bool measure = false;
  bool json = false;
};

// Pairs that --measure opens: more than the CPU's caches hold, and about 120 MB of kernel memory.
constexpr std::uint32_t kMeasuredConnections = 15'000;

doctor::Machine machine_of(const PlanArguments& arguments) {
  const doctor::Facts facts = doctor::read_facts(doctor::RootedFiles());
  doctor::Machine machine;
  const auto total = facts.memory.find("MemTotal");
  machine.memory_bytes = total == facts.memory.end() ? 0 : static_cast<double>(total->second);
  if (facts.cgroup.memory_bytes_max) {
    machine.memory_bytes =
        std::min(machine.memory_bytes, static_cast<double>(*facts.cgroup.memory_bytes_max));
  }
  machine.cpus = std::min<double>(facts.cpus, facts.cgroup.cpus_max.value_or(facts.cpus));
  if (const auto limit = facts.limit("Max open files"))
    machine.open_files = std::min(limit->hard, doctor::kOpenFilesMax);
  if (!arguments.memory.empty())
    machine.memory_bytes = static_cast<double>(*parse_bytes(arguments.memory));
  if (arguments.cpus > 0) machine.cpus = arguments.cpus;
  if (!arguments.open_files.empty()) machine.open_files = *parse_count(arguments.open_files);
  return machine;
}

// The recorded columns, then the measured ones, on so many connections; `chosen` is the transport
// that this machine allows, measured where that was asked.
Result<std::vector<doctor::CostColumn>> columns_of(const PlanArguments& arguments,
                                                   std::size_t& chosen, std::uint32_t& opened) {
  const bool batched =
      doctor::probe_this_machine(doctor::RootedFiles()).io_uring_error.value_or(1) == 0;
  std::vector<doctor::CostColumn> columns = {{"recorded, epoll", doctor::kRecordedPlain},
                                             {"recorded, io_uring", doctor::kRecordedBatched}};
  chosen = batched ? 1 : 0;
  if (!arguments.measure) return columns;
  const auto plain = doctor::measure(net::Io::kEpoll, kMeasuredConnections);
  if (!plain) return tl::unexpected(plain.error());
  opened = plain->connections;
  columns.push_back({"measured, epoll", plain->costs});
  chosen = 2;
  if (batched) {
    const auto rings = doctor::measure(net::Io::kUring, kMeasuredConnections);
    if (!rings) return tl::unexpected(rings.error());
    columns.push_back({"measured, io_uring", rings->costs});
    chosen = 3;
  }
  return columns;
}

int run_plan(const PlanArguments& arguments) {
  const doctor::Load load{*parse_count(arguments.connections), arguments.message_rate,
                          *parse_bytes(arguments.message_bytes),
                          *parse_duration(arguments.ping_interval)};
  std::size_t chosen = 0;
  std::uint32_t opened = 0;
  auto columns = columns_of(arguments, chosen, opened);
  if (!columns) {
    fmt::print(stderr, "holdfast plan: {}\n", columns.error().message);
    return 1;
  }
  const doctor::Plan plan = doctor::make_plan(load, machine_of(arguments),
                                              {arguments.price_per_hour, arguments.egress_per_gb},
                                              std::move(*columns), chosen);
  if (arguments.json) {
    fmt::print("{}\n", doctor::to_json(plan).dump(2));
    return 0;
  }
  fmt::print("{}\nRecorded: {}.\n", doctor::to_text(plan), doctor::kRecordedOn);
  if (arguments.measure) {
    fmt::print("{}", doctor::wrapped(
                         fmt::format("Measured: here, {} loopback connections, both ends in this "
                                     "process, {} pings at a time; the upgrade without parsing. "
                                     "Where many more connections leave caches cold, and workers "
                                     "have few to do at a time, each costs up to twice as much.",
                                     format_count(opened), doctor::kMeasuredBatch),
                         0, 100));
  }
  return 0;
}

void add_machine_options(CLI::App& command, PlanArguments& arguments) {
  command
      .add_option("--memory", arguments.memory,
                  "Memory of one machine, as 4GiB. Default: as much as this one has.")
      ->check(bytes_between(64ULL << 20, 1ULL << 50))
      ->type_name("BYTES")
      ->envname("HOLDFAST_PLAN_MEMORY");
  command
      .add_option("--cpus", arguments.cpus,
                  "CPUs of one machine. Default: as many as this one has.")
      ->check(number_between(0.05, 4096))
      ->type_name("N")
      ->envname("HOLDFAST_PLAN_CPUS");
  command
      .add_option("--open-files", arguments.open_files,
                  "Hard limit on open files there. Default: as here.")
      ->check(count_between(256, 1ULL << 31))
      ->type_name("N")
      ->envname("HOLDFAST_PLAN_OPEN_FILES");
}

}  // namespace

void add_plan_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand(
      "plan", "What N connections take: memory, CPU, bandwidth, machines and money.");
  command
      ->add_option("--connections", arguments->connections,
                   "Connections to hold. Default: 100,000.")
      ->check(count_between(1, 1'000'000'000))
      ->type_name("N")
      ->envname("HOLDFAST_PLAN_CONNECTIONS");
  command
      ->add_option("--message-rate", arguments->message_rate,
                   "Messages a second that the server sends to each connection. Default: 0.")
      ->check(number_between(0, 1e6))
      ->type_name("R")
      ->envname("HOLDFAST_PLAN_MESSAGE_RATE");
  command->add_option("--message-bytes", arguments->message_bytes, "Payload of each. Default: 100.")
      ->check(bytes_between(0, 16ULL << 20))
      ->type_name("BYTES")
      ->envname("HOLDFAST_PLAN_MESSAGE_BYTES");
  command
      ->add_option("--ping-interval", arguments->ping_interval,
                   "Time between two pings to a silent peer; 0: none. Default: 25s.")
      ->check(duration_between("0", "1h"))
      ->type_name("TIME")
      ->envname("HOLDFAST_PLAN_PING_INTERVAL");
  command
      ->add_option("--price-per-hour", arguments->price_per_hour,
                   "Price of one machine for an hour.")
      ->check(number_between(0, 1e6))
      ->type_name("P")
      ->envname("HOLDFAST_PLAN_PRICE_PER_HOUR");
  command
      ->add_option("--egress-per-gb", arguments->egress_per_gb,
                   "Price of 10^9 bytes that leave the machine.")
      ->check(number_between(0, 1e6))
      ->type_name("P")
      ->envname("HOLDFAST_PLAN_EGRESS_PER_GB");
  add_machine_options(*command, *arguments);
  command
      ->add_flag("--measure", arguments->measure,
                 "Take the unit figures on this machine: about 10 s, both CPUs busy.")
      ->envname("HOLDFAST_PLAN_MEASURE");
  command->add_flag("--json", arguments->json, "Print JSON.")->envname("HOLDFAST_PLAN_JSON");
  command->callback([arguments, &exit_code] { exit_code = run_plan(*arguments); });
}

}  // namespace holdfast::commands
