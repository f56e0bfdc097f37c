// Connection tracking: a firewall's table with an entry for each connection. It matters only when
// some rule uses it; then a full table drops every new client. Kernel:
// networking/nf_conntrack-sysctl.

#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"

namespace holdfast::doctor {
namespace {

constexpr const char* kMax = "net.netfilter.nf_conntrack_max";
constexpr const char* kBuckets = "net.netfilter.nf_conntrack_buckets";
// An entry is in the table twice, so this many entries a bucket make chains of eight.
constexpr std::uint64_t kEntriesPerBucket = 4;

std::uint64_t buckets_for(const Demand& demand) {
  return round_up(demand.connections / kEntriesPerBucket, 1024);
}

constexpr const char* kNoTrack =
    "or leave the port out: iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack; "
    "iptables -t raw -A OUTPUT -p tcp --sport 8080 -j CT --notrack";

enum class Tracking : std::uint8_t { kAbsent, kIdle, kActive, kUnknown };

// A probe of our own decides. Without one, a count that stays at zero beside open sockets says no.
Tracking tracking(const Facts& facts) {
  if (!facts.sysctl(kMax)) return Tracking::kAbsent;
  if (facts.probes.conntrack_sees_connections) {
    return *facts.probes.conntrack_sees_connections ? Tracking::kActive : Tracking::kIdle;
  }
  const auto count = facts.sysctl("net.netfilter.nf_conntrack_count");
  if (!count) return Tracking::kUnknown;
  if (*count > 0) return Tracking::kActive;
  const auto in_use = facts.sockets.find("TCP.inuse");
  return in_use != facts.sockets.end() && in_use->second > 8 ? Tracking::kIdle : Tracking::kUnknown;
}

Check tracked_at_all(const Facts& facts, Tracking state) {
  Check check{.name = "connection tracking", .value = "?", .need = "-"};
  const auto count = facts.sysctl("net.netfilter.nf_conntrack_count");
  switch (state) {
    case Tracking::kAbsent:
      check.value = "not loaded";
      check.verdict = Verdict::kNotNeeded;
      check.why = "nf_conntrack is not loaded: connections are in no table";
      break;
    case Tracking::kIdle:
      check.value = "loaded, idle";
      check.verdict = Verdict::kNotNeeded;
      check.why = fmt::format(
          "connections opened as a trial did not show up in nf_conntrack_count ({}): no rule uses "
          "it",
          count.value_or(0));
      break;
    case Tracking::kActive:
      check.value = fmt::format("{} tracked", number_text(count.value_or(0)));
      check.why = "each connection takes an entry of about 300 bytes and some CPU for each packet";
      break;
    case Tracking::kUnknown:
      check.verdict = Verdict::kUnknown;
      check.why = "loaded, but too few connections are open to see whether it tracks them";
      break;
  }
  return check;
}

Check table_size(const Facts& facts, const Demand& demand, bool active) {
  const std::uint64_t others = facts.sysctl("net.netfilter.nf_conntrack_count").value_or(0);
  // Closed connections stay in the table for two minutes: a fifth on top for those that come and
  // go.
  const std::uint64_t need = round_up(demand.connections + demand.connections / 5 + others, 1024);
  Check check = at_least(facts, kMax, need, active ? Verdict::kLow : Verdict::kUnknown,
                         "when the table is full the kernel drops new connections (\"nf_conntrack: "
                         "table full, dropping packet\")");
  if (check.settings.empty()) return check;
  if (active) {
    // The module, loaded with a hash size, allows eight entries a bucket: that is what survives a
    // reboot.
    check.conntrack_buckets = std::max(facts.sysctl(kBuckets).value_or(0), buckets_for(demand));
    check.mend += fmt::format("; {}", kNoTrack);
  } else {
    check.settings.clear();
  }
  return check;
}

Check buckets(const Facts& facts, const Demand& demand, bool active) {
  const std::uint64_t need = buckets_for(demand);
  Check check = at_least(facts, kBuckets, need, active ? Verdict::kAdvice : Verdict::kUnknown,
                         "hash buckets: each packet walks one chain of them");
  if (check.settings.empty()) return check;
  // Through the module's parameter, which works at run time and, as an option of the module, at its
  // next loading.
  check.settings.clear();
  if (active) check.conntrack_buckets = need;
  check.mend = fmt::format("echo {} > /sys/module/nf_conntrack/parameters/hashsize", need);
  return check;
}

}  // namespace

void check_conntrack(const Facts& facts, Examination& examination) {
  const Tracking state = tracking(facts);
  auto& checks = examination.checks;
  checks.push_back(tracked_at_all(facts, state));
  if (state == Tracking::kAbsent) return;
  for (Check check : {table_size(facts, examination.demand, state == Tracking::kActive),
                      buckets(facts, examination.demand, state == Tracking::kActive)}) {
    if (state == Tracking::kIdle) {
      check.verdict = Verdict::kNotNeeded;
      check.settings.clear();
      check.mend.clear();
      check.why = "nothing is tracked; would matter once a firewall rule looks at connection state";
    }
    checks.push_back(std::move(check));
  }
}

}  // namespace holdfast::doctor
