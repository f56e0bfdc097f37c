// TCP's own memory, ports and leftovers. Kernel: networking/ip-sysctl.

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "doctor/checks.h"
#include "doctor/unit_costs.h"

namespace holdfast::doctor {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

// From 10240, so that the server's usual ports (8080, 9090) are never taken as the source of some
// connection; the ends have different parity, as the kernel's text wants it.
constexpr std::uint64_t kFirstPort = 10'240;
constexpr std::uint64_t kLastPort = 65'535;

Check port_range(const Facts& facts, const Demand& demand) {
  Check check{.name = "net.ipv4.ip_local_port_range", .value = "?", .need = "-"};
  const auto first = facts.sysctl(check.name, 0);
  const auto last = facts.sysctl(check.name, 1);
  if (!first || !last || *last < *first) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  const std::uint64_t ports = *last - *first + 1;
  const std::uint64_t addresses = (demand.connections + ports - 1) / ports;
  check.value = fmt::format("{} {}", *first, *last);
  if (demand.role == Role::kServer) {
    check.verdict = Verdict::kNotNeeded;
    check.why = "only who connects needs source ports; a server's side of N connections needs one";
    return check;
  }
  check.need = fmt::format("{} source addresses", number_text(addresses));
  if (demand.role == Role::kBoth) {
    check.why = fmt::format(
        "{} ports for each pair of addresses and the server's port; on loopback sources come out "
        "of 127.0.0.0/8",
        number_text(ports));
    return check;
  }
  check.why = fmt::format(
      "{} ports for each source address towards one address and port; this machine has {} source "
      "address{}",
      number_text(ports), facts.source_addresses, facts.source_addresses == 1 ? "" : "es");
  if (facts.source_addresses >= addresses) return check;
  check.verdict = Verdict::kLow;
  const std::uint64_t widest =
      (demand.connections + kLastPort - kFirstPort) / (kLastPort - kFirstPort + 1);
  if (*first > kFirstPort || *last < kLastPort) {
    check.settings = {{check.name, {std::min(*first, kFirstPort), std::max(*last, kLastPort)}}};
    check.mend = sysctl_command(check.settings.front());
  }
  if (facts.source_addresses < widest) {
    check.mend += fmt::format(
        "{}ip address add ADDRESS/PREFIX dev INTERFACE ({} more), or let the server listen on more "
        "ports",
        check.mend.empty() ? "" : "; ", widest - facts.source_addresses);
  }
  return check;
}

// A page for each connection that has a small message under way. Idle ones have none since
// Linux 6.0; before, a socket kept up to a page that it had once charged.
Check tcp_memory(const Facts& facts, const Demand& demand) {
  Check check{.name = "net.ipv4.tcp_mem", .value = "?", .need = "?"};
  const auto pressure = facts.sysctl(check.name, 1);
  const auto most = facts.sysctl(check.name, 2);
  if (!pressure || !most) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = numbers_text(facts.sysctls.at(check.name));
  const std::uint64_t sockets = sockets_of(demand);
  const bool keeps_pages = facts.kernel_version != 0 && facts.kernel_version < 6000;
  const std::uint64_t least = (keeps_pages ? sockets : sockets / 20) + 16'384;
  const auto total = facts.memory.find("MemTotal");
  const std::uint64_t half_of_memory =
      total == facts.memory.end() ? kUnlimited : total->second / 2 / kPageBytes;
  const std::uint64_t wanted = std::max(least, std::min(sockets + 16'384, half_of_memory));
  check.need = fmt::format("max {} pages", number_text(wanted));
  check.why = fmt::format(
      "pages for bytes under way; a publication to all N takes one a connection at once, idle ones "
      "take {}; "
      "at the max the kernel drops and stalls",
      keeps_pages ? "up to one (before Linux 6.0)" : "none");
  if (*most >= wanted) return check;
  check.verdict = *most < least ? Verdict::kLow : Verdict::kAdvice;
  // In the kernel's own proportion of 3 : 4 : 6.
  const std::uint64_t top = round_up(wanted, 6144);
  check.settings = {{check.name,
                     {std::max(facts.sysctl(check.name, 0).value_or(0), top / 2),
                      std::max(*pressure, top / 3 * 2), top}}};
  check.mend = sysctl_command(check.settings.front());
  return check;
}

// Buffers hold nothing while a peer is idle: only a default so large that slow readers could eat
// the machine is worth a word.
Check socket_buffer(const Facts& facts, const char* name, std::uint64_t default_max,
                    std::string_view what) {
  Check check{
      .name = name,
      .value = "?",
      .need = fmt::format("default up to {}", format_bytes(static_cast<double>(default_max)))};
  const auto usual = facts.sysctl(name, 1);
  if (!usual) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = numbers_text(facts.sysctls.at(name));
  check.why = fmt::format(
      "bytes that a socket may {}: min, default, max; takes no memory while a peer is idle", what);
  if (*usual <= default_max) return check;
  check.verdict = Verdict::kAdvice;
  check.why = fmt::format(
      "every peer that stops reading may hold {} of kernel memory (the default, in the middle); "
      "left to you, since "
      "other programs may count on it",
      format_bytes(static_cast<double>(*usual)));
  check.mend = fmt::format("sysctl -w {}=\"{} {} {}\"", name, *facts.sysctl(name, 0), default_max,
                           facts.sysctl(name, 2).value_or(*usual));
  return check;
}

Check time_wait_reuse(const Facts& facts, const Demand& demand) {
  Check check{.name = "net.ipv4.tcp_tw_reuse", .value = "?", .need = "-"};
  const auto value = facts.sysctl(check.name);
  if (!value) {
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = number_text(*value);
  if (demand.role == Role::kServer) {
    check.verdict = Verdict::kNotNeeded;
    check.why = "only who connects can reuse a source port that is in TIME_WAIT";
    return check;
  }
  const bool both = demand.role == Role::kBoth;
  check.need = both ? "2 or 1" : "1";
  check.why = both ? "2 reuses ports in TIME_WAIT on loopback"
                   : "reconnecting within a minute needs the ports that are in TIME_WAIT";
  if (*value == 1 || (both && *value == 2)) return check;
  check.verdict = Verdict::kAdvice;
  check.settings = {{check.name, {both ? std::uint64_t{2} : std::uint64_t{1}}}};
  check.mend = sysctl_command(check.settings.front());
  return check;
}

Check hash_table(const Facts& facts, const Demand& demand) {
  constexpr std::uint64_t kChainMax = 4;
  Check check{.name = "net.ipv4.tcp_ehash_entries", .value = "?", .need = "?"};
  const std::uint64_t buckets_wanted = round_up(sockets_of(demand) / kChainMax, 1024);
  check.need = number_text(buckets_wanted);
  check.why = "buckets of the table in which each packet finds its socket; fixed at boot";
  const auto buckets = facts.sysctl(check.name);
  if (!buckets || *buckets >
                      std::uint64_t{1}
                          << 32) {  // negative: this network namespace shares the first one's
    check.verdict = Verdict::kUnknown;
    return check;
  }
  check.value = number_text(*buckets);
  if (*buckets >= buckets_wanted) return check;
  check.verdict = Verdict::kAdvice;
  std::uint64_t power = 1;
  while (power < buckets_wanted) power *= 2;
  check.mend = fmt::format("boot with thash_entries={}", power);
  return check;
}

}  // namespace

void check_tcp(const Facts& facts, Examination& examination) {
  const Demand& demand = examination.demand;
  auto& checks = examination.checks;
  checks.push_back(port_range(facts, demand));
  checks.push_back(tcp_memory(facts, demand));
  checks.push_back(
      socket_buffer(facts, "net.ipv4.tcp_rmem", 1'048'576, "receive ahead of its reader"));
  checks.push_back(socket_buffer(facts, "net.ipv4.tcp_wmem", 262'144, "queue for a peer"));
  checks.push_back(time_wait_reuse(facts, demand));
  checks.push_back(at_least(facts, "net.ipv4.tcp_max_tw_buckets",
                            round_up(demand.connections, 1024), Verdict::kAdvice,
                            "sockets in TIME_WAIT, a minute each: who closes first keeps one for "
                            "each connection, as a drain does; "
                            "beyond, they end early and the kernel logs it"));
  checks.push_back(at_least(facts, "net.ipv4.tcp_max_orphans",
                            round_up(demand.connections / 10, 1024), Verdict::kAdvice,
                            "closed sockets whose peer has not answered yet; a drain makes many at "
                            "once, and beyond this they are "
                            "reset without their close frame"));
  checks.push_back(hash_table(facts, demand));
}

}  // namespace holdfast::doctor
