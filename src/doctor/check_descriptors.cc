// Open files. The theory: RLIMIT_NOFILE bounds the descriptor numbers of one table, and each worker
// has a table of its own. So the hard limit says how many connections one worker may hold, and with
// it how many workers N needs; only the counters that the whole system shares (fs.file-max, epoll's
// watches) bound N itself.

#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/unit_costs.h"
#include "doctor/worker_count.h"

namespace holdfast::doctor {
namespace {

std::string limit_text(std::uint64_t soft, std::uint64_t hard) {
  return fmt::format("{} / {}", number_text(soft), number_text(hard));
}

// Workers when descriptors do not count: as many as were asked for, or one for each CPU.
std::uint64_t workers_at_best(const Facts& facts, const Demand& demand) {
  return demand.workers != 0 ? demand.workers
                             : workers_for(demand.connections, kOpenFilesMax, facts.cpus);
}

// The limit under which so many do.
std::uint64_t limit_at_best(const Facts& facts, const Demand& demand) {
  return open_files_for(demand.connections, workers_at_best(facts, demand));
}

// Fills in verdict and why for a hard limit, wherever it was configured.
void judge_hard_limit(const Facts& facts, const Demand& demand, std::uint64_t hard, Check& check) {
  const std::uint64_t best = workers_at_best(facts, demand);
  if (connections_held(best, hard) >= demand.connections) return;
  const std::uint64_t workers = workers_for(demand.connections, hard, best);
  if (demand.workers != 0) {
    check.verdict = Verdict::kLow;
    check.why = fmt::format("{} workers can hold {} under it; take --workers {} or more, or auto",
                            demand.workers, number_text(connections_held(demand.workers, hard)),
                            number_text(workers));
  } else if (workers > kWorkersMax) {
    check.verdict = Verdict::kLow;
    check.why = fmt::format("even {} workers, the most there may be, cannot hold {} under it",
                            number_text(kWorkersMax), number_text(demand.connections));
  } else {
    check.verdict = Verdict::kAdvice;
    check.why = fmt::format(
        "each worker has a descriptor table of its own, so N fits with {} workers in place of {}: "
        "no obstacle, but "
        "more threads, and smaller batches for each",
        workers, best);
  }
  check.open_files = open_files_wanted(facts);
}

// Without them no worker starts: containers' profiles often forbid the call, though it takes no
// privilege.
Check private_tables(const Facts& facts) {
  Check check{.name = "private descriptor tables",
              .value = "?",
              .need = "allowed",
              .why =
                  "each worker has one, so that the limit on open files bounds a worker and not "
                  "the process"};
  const auto& error = facts.probes.private_tables_error;
  if (!error) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = error->empty() ? "allowed" : "forbidden";
  if (error->empty()) return check;
  check.verdict = Verdict::kLow;
  check.why = fmt::format("no worker can start without its own ({})", *error);
  check.mend = "a container profile (seccomp) that lets unshare or close_range through";
  return check;
}

Check this_process(const Facts& facts, const Demand& demand) {
  Check check{.name = "open files, this session",
              .value = "?",
              .need = fmt::format("hard {}", number_text(limit_at_best(facts, demand))),
              .why =
                  "bounds each worker, since each has a descriptor table of its own; Holdfast "
                  "raises its soft limit to the "
                  "hard one itself"};
  const auto limit = facts.limit("Max open files");
  if (!limit) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = limit_text(limit->soft, limit->hard);
  judge_hard_limit(facts, demand, limit->hard, check);
  if (check.open_files == 0) return check;
  check.mend = facts.may(kCapSysResource) ? fmt::format("ulimit -Hn {}", check.open_files)
                                          : fmt::format(
                                                "log in again after mending limits.d; in a "
                                                "container: run it with --ulimit nofile={}",
                                                check.open_files);
  check.open_files = 0;  // nothing that --fix could do for a session that runs
  return check;
}

Check login(const Facts& facts, const Demand& demand, std::string_view user,
            const LoginSetting& setting) {
  Check check{.name = fmt::format("open files, logins of {}", user),
              .value = "not configured",
              .need = fmt::format("hard {}", number_text(limit_at_best(facts, demand))),
              .why = "limits.conf and limits.d give it to the next session"};
  const auto session = facts.limit("Max open files");
  if (setting.hard || setting.soft) {
    check.value = fmt::format("{} / {}", setting.soft ? number_text(*setting.soft) : "-",
                              setting.hard ? number_text(*setting.hard) : "-");
  }
  if (!setting.hard && !session) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  judge_hard_limit(facts, demand, setting.hard ? *setting.hard : session->hard, check);
  // A login's limit decides about later sessions only: it never stops what runs now.
  if (check.verdict == Verdict::kLow) check.verdict = Verdict::kAdvice;
  if (user == "root") check.why += "; a line for * does not count for root";
  if (check.open_files != 0) {
    check.open_files_user = user;
    check.mend = fmt::format("echo '{} hard nofile {}' >> /etc/security/limits.d/90-holdfast.conf",
                             user, check.open_files);
  }
  return check;
}

Check service(const Facts& facts, const Demand& demand) {
  const UnitSetting& unit = facts.service;
  Check check{.name = "open files, holdfast.service",
              .value = limit_text(unit.limit.soft, unit.limit.hard),
              .need = fmt::format("hard {}", number_text(limit_at_best(facts, demand))),
              .why = fmt::format("LimitNOFILE, from {}{}", unit.said_by,
                                 unit.installed ? "" : "; the unit is not installed")};
  judge_hard_limit(facts, demand, unit.limit.hard, check);
  if (check.verdict == Verdict::kLow) check.verdict = Verdict::kAdvice;
  if (!facts.systemd_runs && !unit.installed) {
    check.verdict = Verdict::kNotNeeded;
    check.open_files = 0;
    check.why = "systemd does not run here, and the unit is not installed";
  }
  if (check.open_files != 0) {
    check.mend =
        fmt::format("systemctl edit {}: [Service] LimitNOFILE={}", kServiceUnit, check.open_files);
  }
  return check;
}

Check file_max(const Facts& facts, const Demand& demand) {
  const std::uint64_t others = facts.sysctl("fs.file-nr").value_or(0);
  const std::uint64_t sockets = sockets_of(demand);
  Check check = at_least(facts, "fs.file-max",
                         round_up(sockets + sockets / 20 + others + 4096, 1000), Verdict::kLow,
                         "open files of the whole system; above it accept() fails with ENFILE");
  if (facts.may(kCapSysAdmin)) check.why += " (not for root, but for a service user)";
  return check;
}

}  // namespace

void check_descriptors(const Facts& facts, Examination& examination) {
  const Demand& demand = examination.demand;
  auto& checks = examination.checks;
  checks.push_back(private_tables(facts));
  checks.push_back(this_process(facts, demand));
  checks.push_back(login(facts, demand, facts.user, facts.user_login));
  if (facts.user != "root") checks.push_back(login(facts, demand, "root", facts.root_login));
  checks.push_back(service(facts, demand));

  checks.push_back(at_least(
      facts, "fs.nr_open", limit_at_best(facts, demand), Verdict::kAdvice,
      "the highest open-files limit that may be set at all; below it N takes more workers"));
  checks.push_back(file_max(facts, demand));
  const std::uint64_t sockets = sockets_of(demand);
  checks.push_back(at_least(facts, "fs.epoll.max_user_watches",
                            round_up(sockets + sockets / 50 + kWorkersMax, 1000), Verdict::kLow,
                            "sockets that one user may have in epoll sets; the kernel sizes it by "
                            "memory (4 % of it), and above it a "
                            "new connection fails with ENOSPC"));
}

}  // namespace holdfast::doctor
