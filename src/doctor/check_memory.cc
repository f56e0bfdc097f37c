// Memory: the kernel's share is by far the larger, is charged to slab and so to the control group,
// and never shows in a process's RSS.

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "doctor/checks.h"
#include "doctor/unit_costs.h"

namespace holdfast::doctor {
namespace {

std::string bytes_text(double bytes) { return format_bytes(bytes); }

std::optional<std::uint64_t> memory_of(const Facts& facts, std::string_view name) {
  const auto found = facts.memory.find(name);
  if (found == facts.memory.end()) return std::nullopt;
  return found->second;
}

// "about 2,400,000 would fit", from the memory there is.
std::string would_fit(const Examination& examination, double available) {
  const double fixed = memory_needed({0, examination.demand.role, 0}, examination.workers);
  const double each = (memory_needed({1'000'000, examination.demand.role, 0}, 0) -
                       memory_needed({0, examination.demand.role, 0}, 0)) /
                      1e6;
  const double fit = std::max(0.0, (available - fixed) / each);
  return fmt::format("about {} would fit",
                     format_count(static_cast<std::uint64_t>(fit / 1000) * 1000));
}

Check of_the_machine(const Facts& facts, const Examination& examination) {
  const double need = memory_needed(examination.demand, examination.workers);
  const bool both = examination.demand.role == Role::kBoth;
  Check check{.name = "memory", .value = "?", .need = bytes_text(need)};
  check.why = fmt::format(
      "{:.1f} KB of kernel memory a connection{} plus at most {:.0f} B of user memory a socket, "
      "and a fifth of head-room",
      (both ? kRecordedPlain.kernel_bytes_per_pair : kRecordedPlain.kernel_bytes_per_socket) / 1000,
      both ? " with both ends here" : "", kUserBytesPerConnectionMax);
  const auto available = memory_of(facts, "MemAvailable");
  if (!available) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = fmt::format("{} available", bytes_text(static_cast<double>(*available)));
  check.why += "; " + would_fit(examination, static_cast<double>(*available));
  if (static_cast<double>(*available) >= need) return check;
  check.verdict = Verdict::kLow;
  check.mend = "a larger machine, or fewer connections: holdfast plan tells the sizes";
  return check;
}

Check of_the_group(const Facts& facts, const Examination& examination) {
  const double need = memory_needed(examination.demand, examination.workers);
  const CgroupLimits& group = facts.cgroup;
  Check check{.name = "memory, control group", .value = "no limit", .need = bytes_text(need)};
  check.why = "a container's limit counts the kernel memory of its sockets too";
  if (!group.memory_bytes_max) return check;
  const std::uint64_t left =
      *group.memory_bytes_max - std::min(*group.memory_bytes_max, group.memory_bytes_used);
  check.value = fmt::format("{} left of {}", bytes_text(static_cast<double>(left)),
                            bytes_text(static_cast<double>(*group.memory_bytes_max)));
  check.why += "; " + would_fit(examination, static_cast<double>(left));
  if (static_cast<double>(left) >= need) return check;
  check.verdict = Verdict::kLow;
  check.mend = fmt::format("raise memory.max of {} (systemd: MemoryMax=, docker: --memory)",
                           group.group.empty() ? "the group" : group.group);
  return check;
}

Check pressure(const Facts& facts) {
  Check check{.name = "memory pressure", .value = "?", .need = "below 5 %"};
  check.why = "share of the last minute in which some task waited for memory (PSI)";
  const auto found = facts.pressure.find("memory");
  if (found == facts.pressure.end()) {
    check.verdict = Verdict::kUnknown;
    check.why += "; needs a kernel with PSI, and psi=1 where it is off by default";
    return check;
  }
  check.value = fmt::format("{:.1f} %", found->second.some_percent);
  if (found->second.some_percent < 5) return check;
  check.verdict = Verdict::kAdvice;
  check.why = "tasks wait for memory now, before the connections are there";
  check.mend = "look for who takes it: ps -eo rss,comm --sort -rss | head";
  return check;
}

Check swap(const Facts& facts) {
  Check check{.name = "swap", .value = "?", .need = "none in use"};
  check.why =
      "socket memory cannot be swapped out; a swapped-out worker makes every peer of it wait";
  const auto total = memory_of(facts, "SwapTotal");
  const auto free = memory_of(facts, "SwapFree");
  if (!total || !free) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  const std::uint64_t used = *total - std::min(*total, *free);
  check.value = *total == 0 ? "none"
                            : fmt::format("{} used of {}", bytes_text(static_cast<double>(used)),
                                          bytes_text(static_cast<double>(*total)));
  if (used < *total / 20 || used == 0) return check;
  check.verdict = Verdict::kAdvice;
  check.mend = "give the service MemorySwapMax=0, or the machine more memory";
  return check;
}

Check overcommit(const Facts& facts, const Examination& examination) {
  Check check{.name = "vm.overcommit_memory", .value = "?", .need = "0 or 1"};
  const auto mode = facts.sysctl(check.name);
  if (!mode) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = number_text(*mode);
  check.why = "2 refuses memory that is promised but not touched, such as threads' stacks";
  if (*mode != 2) return check;
  const std::uint64_t limit = memory_of(facts, "CommitLimit").value_or(0);
  const std::uint64_t left = limit - std::min(limit, memory_of(facts, "Committed_AS").value_or(0));
  constexpr double kStackBytes = 8.0 * 1024 * 1024;
  const double user =
      static_cast<double>(examination.demand.connections) * kUserBytesPerConnectionMax +
      static_cast<double>(examination.workers) * (kStackBytes + kBytesPerWorker);
  check.need = fmt::format("{} left to commit", bytes_text(user));
  check.value = fmt::format("2, {} left", bytes_text(static_cast<double>(left)));
  if (static_cast<double>(left) >= user) return check;
  check.verdict = Verdict::kLow;
  check.mend = "sysctl -w vm.overcommit_memory=0, or raise vm.overcommit_ratio";
  return check;
}

Check huge_pages(const Facts& facts) {
  Check check{
      .name = "transparent huge pages", .value = facts.huge_pages, .need = "madvise or never"};
  check.why =
      "\"always\" may back a worker's sparse tables with 2 MiB pages: more user memory than "
      "counted here";
  if (facts.huge_pages.empty()) {
    check.value = "?";
    check.verdict = Verdict::kUnknown;
  } else if (facts.huge_pages == "always") {
    check.verdict = Verdict::kAdvice;
    check.mend =
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (left to you: other programs "
        "may want it)";
  }
  return check;
}

}  // namespace

void check_memory(const Facts& facts, Examination& examination) {
  auto& checks = examination.checks;
  checks.push_back(of_the_machine(facts, examination));
  checks.push_back(of_the_group(facts, examination));
  checks.push_back(pressure(facts));
  checks.push_back(swap(facts));
  checks.push_back(overcommit(facts, examination));
  checks.push_back(huge_pages(facts));
}

}  // namespace holdfast::doctor
