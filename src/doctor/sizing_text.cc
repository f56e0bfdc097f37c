#include "doctor/sizing_text.h"

#include <fmt/format.h>

#include <cmath>

#include "base/units.h"
#include "doctor/examination_text.h"

namespace holdfast::doctor {
namespace {

std::string line(std::string_view title, const std::string& text) {
  constexpr std::size_t kIndent = 16;
  constexpr std::size_t kWidth = 100;
  return fmt::format("{:<{}}{}", title, kIndent, wrapped(text, kIndent, kWidth).substr(kIndent));
}

std::string rounded(double number) {
  return format_count(static_cast<std::uint64_t>(std::llround(number)));
}

// Decimal, as traffic and its bills are counted.
std::string volume(double gigabytes) {
  return gigabytes >= 1000 ? fmt::format("{:.2f} TB", gigabytes / 1000)
                           : fmt::format("{:.3g} GB", gigabytes);
}

std::string money(double amount) { return fmt::format("{:.2f}", amount); }

std::string traffic_text(const Traffic& traffic, double gigabytes_per_month) {
  return fmt::format(
      "{} packets/s, {:.2f} MB/s with TCP and IP headers, {:.1f} Mbit/s on an Ethernet; {} a month",
      rounded(traffic.packets_per_second), traffic.ip_bytes_per_second / 1e6,
      traffic.wire_bits_per_second / 1e6, volume(gigabytes_per_month));
}

std::string memory_text(const Plan& plan) {
  const Size& size = plan.size;
  std::string text = fmt::format(
      "{} of kernel memory ({:.2f} KB a connection) and at most {} of user memory ({:.0f} B a "
      "connection, 1 MiB a worker)",
      format_bytes(size.kernel_bytes),
      (plan.columns[plan.chosen].costs.kernel_bytes_per_socket + kTableBytesPerDescriptor) / 1000,
      format_bytes(size.user_bytes), kUserBytesPerConnectionMax);
  if (size.burst_bytes > 0) {
    text +=
        fmt::format("; {} more for the moment in which every connection has a message under way",
                    format_bytes(size.burst_bytes));
  }
  return text + fmt::format(". With head-room: {}", format_bytes(size.memory_wanted));
}

std::string descriptors_text(const Plan& plan) {
  const Size& size = plan.size;
  const std::string limit = format_count(plan.machine.open_files);
  if (size.workers > kWorkersMax) {
    return fmt::format(
        "{}: too many for {} workers of {} each (RLIMIT_NOFILE); holdfast doctor tells how to "
        "raise it",
        format_count(size.descriptors), format_count(kWorkersMax), limit);
  }
  return fmt::format("{}, in {} worker{} of at most {} each (RLIMIT_NOFILE bounds each worker)",
                     format_count(size.descriptors), size.workers, size.workers == 1 ? "" : "s",
                     limit);
}

std::string cpu_text(const Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const auto [keepalive, messages] = plan.cores[i];
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: {:.2f} cores for keepalive", plan.columns[i].name, keepalive);
    if (plan.load.messages_per_second > 0) text += fmt::format(", {:.2f} for messages", messages);
  }
  return text;
}

std::string machines_text(const Plan& plan) {
  const std::string kind =
      fmt::format("{:.3g} CPUs and {}", plan.machine.cpus, format_bytes(plan.machine.memory_bytes));
  if (plan.size.machines == 1) {
    return fmt::format(
        "one of {} is enough ({} of 80 % of its memory, {:.0f} of 70 % of its CPUs)", kind,
        fmt::format("{:.0f}",
                    100 * (plan.size.kernel_bytes + plan.size.user_bytes + plan.size.burst_bytes) /
                        plan.machine.memory_bytes),
        100 * (plan.size.keepalive_cores + plan.size.message_cores) / plan.machine.cpus);
  }
  return fmt::format("{} of {}, because of {}; or a larger one", format_count(plan.size.machines),
                     kind, plan.size.memory_decides ? "memory" : "CPU");
}

std::string cost_text(const Plan& plan) {
  const double machines = plan.size.machine_cost_per_month.value_or(0);
  const double egress = plan.size.egress_cost_per_month.value_or(0);
  std::string text =
      fmt::format("{} a month of {:.0f} hours", money(machines + egress), kHoursPerMonth);
  if (plan.size.machine_cost_per_month) text += fmt::format(", {} of it machines", money(machines));
  if (plan.size.egress_cost_per_month) text += fmt::format(", {} of it egress", money(egress));
  return text +
         fmt::format("; {} for each 100,000 connections",
                     money((machines + egress) * 1e5 / static_cast<double>(plan.load.connections)));
}

std::string costs_table(const Plan& plan) {
  std::string text = fmt::format("{:<40}", "unit figures");
  for (const CostColumn& column : plan.columns) text += fmt::format("{:>20}", column.name);
  const auto row = [&](std::string_view name, auto figure) {
    text += fmt::format("\n{:<40}", name);
    for (const CostColumn& column : plan.columns)
      text += fmt::format("{:>20}", figure(column.costs));
  };
  const auto microseconds = [](double UnitCosts::* field) {
    return [field](const UnitCosts& costs) { return fmt::format("{:.2f} µs", costs.*field); };
  };
  row("  kernel memory of a socket", [](const UnitCosts& costs) {
    return fmt::format("{:.0f} B", costs.kernel_bytes_per_socket);
  });
  row("  CPU of a ping and its pong", microseconds(&UnitCosts::ping_microseconds));
  row("  CPU of an accept and upgrade", microseconds(&UnitCosts::accept_microseconds));
  row("  CPU of a 100-byte message, delivered", microseconds(&UnitCosts::delivery_microseconds));
  row("  CPU of each further KiB", microseconds(&UnitCosts::delivery_microseconds_per_kib));
  return text + "\n";
}

nlohmann::json to_json(const UnitCosts& costs) {
  return {{"kernel_bytes_per_socket", costs.kernel_bytes_per_socket},
          {"ping_microseconds", costs.ping_microseconds},
          {"accept_microseconds", costs.accept_microseconds},
          {"delivery_microseconds", costs.delivery_microseconds},
          {"delivery_microseconds_per_kib", costs.delivery_microseconds_per_kib}};
}

nlohmann::json to_json(const Traffic& traffic, double gigabytes_per_month) {
  return {{"packets_per_second", traffic.packets_per_second},
          {"ip_bytes_per_second", traffic.ip_bytes_per_second},
          {"wire_bits_per_second", traffic.wire_bits_per_second},
          {"gigabytes_per_month", gigabytes_per_month}};
}

}  // namespace

Plan make_plan(const Load& load, const Machine& machine, const Prices& prices,
               std::vector<CostColumn> columns, std::size_t chosen) {
  Plan plan{.load = load,
            .machine = machine,
            .prices = prices,
            .columns = std::move(columns),
            .chosen = chosen,
            .size = {},
            .cores = {}};
  for (const CostColumn& column : plan.columns) {
    const Size size = size_of(load, column.costs, machine, prices);
    plan.cores.emplace_back(size.keepalive_cores, size.message_cores);
  }
  plan.size = size_of(load, plan.columns[chosen].costs, machine, prices);
  return plan;
}

std::string to_text(const Plan& plan) {
  const Load& load = plan.load;
  std::string text = fmt::format("{} connections, {}", format_count(load.connections),
                                 load.ping_interval.count() == 0
                                     ? "no pings"
                                     : "a ping every " + format_duration(load.ping_interval));
  if (load.messages_per_second > 0) {
    text += fmt::format(", {:g} messages of {} bytes a second to each", load.messages_per_second,
                        format_count(load.message_bytes));
  }
  text += fmt::format("\nreckoned with: {}\n\n", plan.columns[plan.chosen].name);
  text += line("memory", memory_text(plan));
  text += line("descriptors", descriptors_text(plan));
  text += line("CPU", cpu_text(plan));
  text +=
      line("reconnect",
           fmt::format("{:.1f} s of CPU to take all in again: {:.1f} s at best on {:.3g} CPUs",
                       plan.size.reconnect_core_seconds,
                       plan.size.reconnect_core_seconds / plan.machine.cpus, plan.machine.cpus));
  text += line("out", traffic_text(plan.size.out, plan.size.egress_gigabytes_per_month));
  text += line("in", traffic_text(plan.size.in, plan.size.ingress_gigabytes_per_month));
  text += line("machines", machines_text(plan));
  if (plan.prices.machine_hour || plan.prices.egress_gigabyte)
    text += line("cost", cost_text(plan));
  return text + '\n' + costs_table(plan);
}

nlohmann::json to_json(const Plan& plan) {
  const Size& size = plan.size;
  nlohmann::json json = {
      {"connections", plan.load.connections},
      {"messages_per_second", plan.load.messages_per_second},
      {"message_bytes", plan.load.message_bytes},
      {"ping_interval_seconds", static_cast<double>(plan.load.ping_interval.count()) / 1000},
      {"memory",
       {{"kernel_bytes", size.kernel_bytes},
        {"user_bytes_max", size.user_bytes},
        {"burst_bytes", size.burst_bytes},
        {"wanted_bytes", size.memory_wanted}}},
      {"descriptors", size.descriptors},
      {"workers", size.workers},
      {"keepalive_cores", size.keepalive_cores},
      {"message_cores", size.message_cores},
      {"reconnect_core_seconds", size.reconnect_core_seconds},
      {"out", to_json(size.out, size.egress_gigabytes_per_month)},
      {"in", to_json(size.in, size.ingress_gigabytes_per_month)},
      {"machine",
       {{"memory_bytes", plan.machine.memory_bytes},
        {"cpus", plan.machine.cpus},
        {"open_files", plan.machine.open_files}}},
      {"machines", size.machines},
      {"reckoned_with", plan.columns[plan.chosen].name},
      {"recorded_on", kRecordedOn}};
  for (const CostColumn& column : plan.columns)
    json["unit_costs"][column.name] = to_json(column.costs);
  if (size.machine_cost_per_month) json["machine_cost_per_month"] = *size.machine_cost_per_month;
  if (size.egress_cost_per_month) json["egress_cost_per_month"] = *size.egress_cost_per_month;
  return json;
}

}  // namespace holdfast::doctor
