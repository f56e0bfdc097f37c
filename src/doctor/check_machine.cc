// CPUs, threads and io_uring.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"
#include "doctor/checks.h"
#include "doctor/unit_costs.h"
#include "doctor/worker_count.h"
#include "holdfast/options.h"

namespace holdfast::doctor {
namespace {

Check cpus(const Facts& facts, const Demand& demand) {
  const double seconds = static_cast<double>(Options{}.ping_interval.count()) / 1000;
  const double ends = demand.role == Role::kBoth ? 2 : 1;
  const double pings = static_cast<double>(demand.connections) / seconds;
  const double plain = ends * pings * kRecordedPlain.ping_microseconds / 1e6;
  const double batched = ends * pings * kRecordedBatched.ping_microseconds / 1e6;
  const double have = std::min<double>(facts.cpus, facts.cgroup.cpus_max.value_or(facts.cpus));
  Check check{.name = "CPUs",
              .value = fmt::format("{:.3g}", have),
              .need = fmt::format("{:.2g} to {:.2g}", batched, plain)};
  check.why = fmt::format(
      "for keepalive alone, a ping to each connection every {:.0f} s ({:.0f} µs with io_uring, "
      "{:.0f} µs without); messages "
      "and reconnects come on top",
      seconds, kRecordedBatched.ping_microseconds, kRecordedPlain.ping_microseconds);
  if (facts.cgroup.cpus_max && *facts.cgroup.cpus_max < facts.cpus)
    check.why += "; the control group's quota bounds them";
  if (batched > have) {
    check.verdict = Verdict::kLow;
    check.mend = "more CPUs, or a longer --ping-interval";
  } else if (plain > 0.7 * have) {
    check.verdict = Verdict::kAdvice;
    check.mend = "a longer --ping-interval, or more CPUs: little is left for messages";
  }
  return check;
}

Check busy(const Facts& facts) {
  Check check{.name = "CPU pressure", .value = "?", .need = "below 50 %"};
  check.why = "share of the last minute in which some task waited for a CPU (PSI)";
  const auto found = facts.pressure.find("cpu");
  if (found == facts.pressure.end()) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = fmt::format("{:.1f} %", found->second.some_percent);
  if (found->second.some_percent < 50) return check;
  check.verdict = Verdict::kAdvice;
  check.mend = "look for who takes it: ps -eo pcpu,comm --sort -pcpu | head";
  return check;
}

// The tightest of all bounds on threads, since any of them makes a worker's start fail.
Check threads(const Facts& facts, const Examination& examination) {
  const std::uint64_t need =
      examination.workers * (examination.demand.role == Role::kBoth ? 2 : 1) + 32;
  Check check{.name = "threads", .value = "?", .need = number_text(need)};
  std::uint64_t least = kUnlimited;
  std::string by;
  const auto take = [&](std::optional<std::uint64_t> bound, std::string_view name) {
    if (bound && *bound < least) {
      least = *bound;
      by = name;
    }
  };
  take(facts.sysctl("kernel.threads-max"), "kernel.threads-max");
  take(facts.sysctl("kernel.pid_max"), "kernel.pid_max");
  if (const auto limit = facts.limit("Max processes")) take(limit->soft, "ulimit -u");
  if (facts.cgroup.tasks_max) {
    take(*facts.cgroup.tasks_max - std::min(*facts.cgroup.tasks_max, facts.cgroup.tasks_used),
         "pids.max of the control group");
  }
  if (by.empty()) {
    check.verdict = Verdict::kUnknown;
    check.why = "one for each worker, and a few more";
    return check;
  }
  check.value = number_text(least);
  check.why = fmt::format("one for each worker, and a few more; the tightest bound is {}", by);
  if (least >= need) return check;
  check.verdict = Verdict::kLow;
  check.mend = fmt::format("raise {}, or raise the limit on open files: fewer workers then do", by);
  return check;
}

Check io_uring(const Facts& facts) {
  Check check{.name = "io_uring", .value = "?", .need = "allowed"};
  check.why =
      "sends and receives many sockets in one system call: about half the CPU for each ping and "
      "delivery";
  const auto disabled = facts.sysctl("kernel.io_uring_disabled");
  if (!facts.probes.io_uring_error && !disabled) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  const bool forbidden =
      disabled.value_or(0) == 2 || (disabled.value_or(0) == 1 && !facts.may(kCapSysAdmin));
  if (facts.probes.io_uring_error ? *facts.probes.io_uring_error == 0 : !forbidden) {
    check.value = "allowed";
    return check;
  }
  check.value = "forbidden";
  check.verdict = Verdict::kAdvice;
  check.why = "plain epoll serves in its place, at about twice the CPU for each ping and delivery";
  if (disabled.value_or(0) != 0) {
    check.mend =
        "sysctl -w kernel.io_uring_disabled=0 (left to you: it is a decision about safety)";
  } else if (facts.probes.io_uring_error == ENOSYS) {
    check.mend = "a kernel with CONFIG_IO_URING, or a container profile that lets it through";
  } else {
    check.mend =
        "a container profile (seccomp) that lets io_uring_setup, io_uring_enter and "
        "io_uring_register through";
  }
  return check;
}

// Before Linux 5.12 rings were charged to RLIMIT_MEMLOCK; since then to the control group's memory.
// A server locks the secrets of TLS connections: 96 bytes each, and 32 with SHA-384.
Check locked_memory(const Facts& facts, const Examination& examination) {
  constexpr std::uint64_t kRingBytes = 65'536;
  constexpr std::uint64_t kSecretBytes = 128;
  const std::uint64_t secrets =
      examination.demand.tls ? examination.demand.connections * kSecretBytes : 0;
  const bool has_old_rings = facts.kernel_version < 5012;
  Check check{.name = "locked memory", .value = "?", .need = "-"};
  const auto limit = facts.limit("Max locked memory");
  if (limit)
    check.value =
        limit->soft == kUnlimited ? "no limit" : format_bytes(static_cast<double>(limit->soft));
  if (!has_old_rings && secrets == 0) {
    check.verdict = Verdict::kNotNeeded;
    check.why = "io_uring's rings are charged to the control group's memory since Linux 5.12";
    return check;
  }
  const std::uint64_t need = secrets + (has_old_rings ? examination.workers * kRingBytes : 0);
  check.need = format_bytes(static_cast<double>(need));
  check.why = secrets == 0 ? "io_uring's rings, before Linux 5.12"
                           : "keeps the secrets of TLS out of swap, 128 bytes for each connection";
  if (!limit || facts.kernel_version == 0) {
    check.verdict = Verdict::kUnknown;
  } else if (limit->soft < need) {
    check.verdict = Verdict::kAdvice;
    check.mend = fmt::format("ulimit -l {}, or LimitMEMLOCK= of the unit", (need + 1023) / 1024);
  }
  return check;
}

}  // namespace

void check_machine(const Facts& facts, Examination& examination) {
  constexpr std::uint64_t kMappingsPerWorker = 24;
  auto& checks = examination.checks;
  checks.push_back(cpus(facts, examination.demand));
  checks.push_back(busy(facts));
  checks.push_back(threads(facts, examination));
  checks.push_back(at_least(facts, "vm.max_map_count",
                            1024 + kMappingsPerWorker * examination.workers, Verdict::kLow,
                            "mappings of one process: stacks, rings and buffers of its workers"));
  checks.push_back(io_uring(facts));
  checks.push_back(locked_memory(facts, examination));
}

}  // namespace holdfast::doctor
