// Queues that a reconnect storm fills: half-open handshakes, connections that wait to be accepted,
// packets that wait for the stack. None of them bounds N; they decide how many clients of a storm
// must try again. Kernel: networking/ip-sysctl.

#include <fmt/format.h>

#include "base/units.h"
#include "doctor/checks.h"
#include "holdfast/options.h"

namespace holdfast::doctor {
namespace {

std::uint64_t events(const Facts& facts, std::string_view name) {
  const auto found = facts.tcp_events.find(name);
  return found == facts.tcp_events.end() ? 0 : found->second;
}

Check not_needed(Check check, std::string why) {
  check.verdict = Verdict::kNotNeeded;
  check.settings.clear();
  check.mend.clear();
  check.need = "-";
  check.why = std::move(why);
  return check;
}

Check syncookies(const Facts& facts) {
  Check check{
      .name = "net.ipv4.tcp_syncookies",
      .value = "?",
      .need = "1",
      .why = "the fallback when the queue of handshakes is full: answers without remembering"};
  const auto value = facts.sysctl(check.name);
  if (!value) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = number_text(*value);
  if (*value == 1) return check;
  check.verdict = Verdict::kAdvice;
  check.mend = "sysctl -w net.ipv4.tcp_syncookies=1";
  if (*value == 0) {
    check.why =
        "without it a full queue of handshakes drops new clients, and one flood of SYNs locks "
        "everybody out";
    check.settings = {{check.name, {1}}};
  } else {
    check.why = "2 is for tests: every handshake goes without memory, and loses TCP options";
  }
  return check;
}

// The backlog queue serves loopback and packets steered to another CPU; a network card's own queue
// does not pass through it. So the kernel's own count of drops says more than any rule of thumb.
Check packet_backlog(const Facts& facts) {
  constexpr std::uint64_t kRoomy = 16'384;
  const std::uint64_t dropped = facts.packets_dropped_at_backlog;
  Check check =
      at_least(facts, "net.core.netdev_max_backlog", dropped == 0 ? 1000 : kRoomy, Verdict::kAdvice,
               fmt::format("packets that wait for one CPU's stack; dropped there since boot: {}",
                           format_count(dropped)));
  return check;
}

}  // namespace

void check_handshakes(const Facts& facts, Examination& examination) {
  auto& checks = examination.checks;
  const std::uint64_t backlog = Options{}.backlog;
  Check accept_queue = at_least(facts, "net.core.somaxconn", backlog, Verdict::kAdvice,
                                fmt::format("caps --backlog: connections that wait to be accepted, "
                                            "for each worker; overflowed since boot: {}",
                                            format_count(events(facts, "ListenOverflows"))));
  Check syn_queue = at_least(facts, "net.ipv4.tcp_max_syn_backlog", backlog, Verdict::kAdvice,
                             fmt::format("half-open handshakes for each listener, where SYN "
                                         "cookies are off (with them, --backlog counts); cookies "
                                         "sent since boot: {}",
                                         format_count(events(facts, "SyncookiesSent"))));
  if (examination.demand.role == Role::kLoad) {
    const char* why = "a load machine accepts no connections";
    checks.push_back(not_needed(std::move(accept_queue), why));
    checks.push_back(not_needed(std::move(syn_queue), why));
    checks.push_back(not_needed(syncookies(facts), why));
  } else {
    checks.push_back(std::move(accept_queue));
    checks.push_back(std::move(syn_queue));
    checks.push_back(syncookies(facts));
  }
  checks.push_back(packet_backlog(facts));
}

}  // namespace holdfast::doctor
