#include "doctor/needs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "doctor/checks.h"
#include "doctor/unit_costs.h"
#include "doctor/worker_count.h"

namespace holdfast::doctor {
namespace {

constexpr std::uint64_t kAsGoodAsUnlimited = std::uint64_t{1} << 62;

}  // namespace

bool Examination::fits() const {
  return std::none_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.verdict == Verdict::kLow || check.verdict == Verdict::kWrong;
  });
}

Examination examine(const Facts& facts, const Demand& demand) {
  Examination examination;
  examination.demand = demand;
  const auto limit = facts.limit("Max open files");
  examination.workers = demand.workers;
  if (demand.workers == 0) {
    const std::uint64_t hard = limit ? limit->hard : kOpenFilesMax;
    examination.workers = std::min(workers_for(demand.connections, hard, facts.cpus), kWorkersMax);
  }
  check_memory(facts, examination);
  check_descriptors(facts, examination);
  check_handshakes(facts, examination);
  check_tcp(facts, examination);
  check_conntrack(facts, examination);
  check_machine(facts, examination);
  return examination;
}

std::uint64_t open_files_wanted(const Facts& facts) {
  return std::min(kOpenFilesMax, facts.sysctl("fs.nr_open").value_or(kOpenFilesMax));
}

std::uint64_t sockets_of(const Demand& demand) {
  return demand.role == Role::kBoth ? 2 * demand.connections : demand.connections;
}

double memory_needed(const Demand& demand, std::uint64_t workers) {
  const auto connections = static_cast<double>(demand.connections);
  const bool both = demand.role == Role::kBoth;
  const double kernel =
      both ? kRecordedPlain.kernel_bytes_per_pair : kRecordedPlain.kernel_bytes_per_socket;
  const double ends = both ? 2 : 1;
  const double each = kernel + ends * (kUserBytesPerConnectionMax + kTableBytesPerDescriptor);
  const double fixed = ends * (kBytesPerProcess + static_cast<double>(workers) * kBytesPerWorker);
  return 1.2 * (connections * each + fixed);
}

std::string number_text(std::uint64_t number) {
  return number >= kAsGoodAsUnlimited ? "no limit" : format_count(number);
}

std::string numbers_text(const std::vector<std::uint64_t>& numbers) {
  std::string text;
  for (const std::uint64_t number : numbers) {
    if (!text.empty()) text += ' ';
    text += std::to_string(number);
  }
  return text;
}

std::string sysctl_command(const Setting& setting) {
  if (setting.values.size() == 1)
    return fmt::format("sysctl -w {}={}", setting.name, setting.values[0]);
  return fmt::format("sysctl -w {}=\"{}\"", setting.name, numbers_text(setting.values));
}

std::uint64_t round_up(std::uint64_t number, std::uint64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

Check at_least(const Facts& facts, std::string_view sysctl, std::uint64_t need, Verdict below,
               std::string why) {
  Check check{
      .name = std::string(sysctl), .value = "?", .need = number_text(need), .why = std::move(why)};
  const auto value = facts.sysctl(sysctl);
  if (!value) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = number_text(*value);
  if (*value >= need) return check;
  check.verdict = below;
  check.settings = {{check.name, {need}}};
  check.mend = sysctl_command(check.settings.front());
  return check;
}

}  // namespace holdfast::doctor
