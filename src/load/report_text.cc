#include "load/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace holdfast::load {
namespace {

double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e9; }

// So many in this time, as a whole number a second.
std::string rate(std::uint64_t count, Duration time) {
  const double each = static_cast<double>(count) / std::max(seconds(time), 1e-9);
  return format_count(static_cast<std::uint64_t>(std::llround(each)));
}

class Lines {
 public:
  void add(std::string_view label, std::string_view text) {
    text_ += fmt::format("  {:<14} {}\n", label, text);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string percentiles(const Histogram& histogram) {
  return fmt::format(
      "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}", format_duration(histogram.percentile(50)),
      format_duration(histogram.percentile(90)), format_duration(histogram.percentile(99)),
      format_duration(histogram.percentile(99.9)), format_duration(histogram.most()));
}

void add_reasons(Lines& lines, std::string_view label, const Reasons& reasons) {
  lines.add(label, format_count(sum(reasons)));
  for (const auto& [reason, times] : reasons)
    lines.add("", fmt::format("{:>9}  {}", format_count(times), reason));
}

void add_tls(Lines& lines, const TlsFacts& tls) {
  if (tls.full + tls.resumed + tls.failed() == 0) return;
  lines.add("TLS", fmt::format("{} full handshakes, {} resumed, {} failed", format_count(tls.full),
                               format_count(tls.resumed), format_count(tls.failed())));
  if (tls.failed() > 0) {
    lines.add("",
              fmt::format("failed: {} certificates not verified, {} alerts, {} timeouts, {} others",
                          format_count(tls.unverified), format_count(tls.alerts),
                          format_count(tls.timeouts), format_count(tls.others)));
  }
  if (tls.unverified > 0)
    lines.add("",
              "give whom to trust with --cafile, the certificate's name with --server-name, or "
              "--insecure");
  if (tls.attached > 0)
    lines.add("", fmt::format("{} kept by OpenSSL, of which {} unexpected",
                              format_count(tls.attached), format_count(tls.unexpected)));
}

void add_opening(Lines& lines, const Report& report) {
  std::string opened =
      fmt::format("{} of {}", format_count(report.opened), format_count(report.connections));
  if (report.time_to_open.count() > 0) {
    opened += fmt::format(" in {} ({} a second", format_duration(report.time_to_open),
                          rate(report.opened, report.time_to_open));
    opened += report.rate == 0 ? ", no pace asked)"
                               : fmt::format(" of {} asked)", format_count(report.rate));
  }
  lines.add("opened", opened);
  add_reasons(lines, "refused", report.refused);
  if (report.never_tried > 0) lines.add("never tried", format_count(report.never_tried));
  if (report.opening.count() > 0) lines.add("handshake", percentiles(report.opening));
  add_tls(lines, report.tls);
}

void add_pings(Lines& lines, const Report& report) {
  const PingFacts& pings = report.pings;
  if (pings.connections == 0) return;
  lines.add("pings",
            fmt::format("{} while holding: {:.2f} a connection, least {}, most {}",
                        format_count(pings.total),
                        static_cast<double>(pings.total) / static_cast<double>(pings.connections),
                        pings.least, pings.most));
  if (pings.in_whole_seconds == 0) return;
  const double mean =
      static_cast<double>(pings.in_whole_seconds) / static_cast<double>(pings.whole_seconds);
  lines.add("", fmt::format("{} a second, {} in the fullest: {:.2f} of the mean",
                            rate(pings.in_whole_seconds, std::chrono::seconds(pings.whole_seconds)),
                            format_count(pings.most_in_a_second),
                            static_cast<double>(pings.most_in_a_second) / mean));
}

void add_holding(Lines& lines, const Report& report) {
  const std::uint64_t to_hold = report.connections - std::min(report.connections, report.odd.asked);
  lines.add("held", fmt::format("{} of {} for {}", format_count(report.held), format_count(to_hold),
                                format_duration(report.held_for)));
  add_reasons(lines, "lost", report.lost);
  add_pings(lines, report);
  for (std::size_t i = 0; i < report.rounds.size(); ++i) {
    const StormRound& round = report.rounds[i];
    lines.add(fmt::format("storm {}", i + 1),
              fmt::format("{} dropped, {} back after {} ({} a second), {} refusals",
                          format_count(round.dropped), format_count(round.returned),
                          format_duration(round.time_to_full),
                          rate(round.returned, round.time_to_full), format_count(round.refusals)));
  }
}

void add_odd(Lines& lines, const OddPeerFacts& odd) {
  if (odd.asked == 0) return;
  const bool slow = odd.kind == "slow";
  lines.add(slow ? "slow readers" : "half-open",
            fmt::format("{} opened, {} dropped by the server, {} still held ({})",
                        format_count(odd.opened), format_count(odd.dropped),
                        format_count(odd.still_held()), slow ? "they read nothing" : odd.kind));
  if (odd.dropped == 0) return;
  lines.add("", fmt::format("dropped {} to {} after the last byte {}, {} in the mean",
                            format_duration(odd.dropped_after.least()),
                            format_duration(odd.dropped_after.most()),
                            slow ? "that they read" : "that they sent",
                            format_duration(odd.dropped_after.mean())));
}

void add_messages(Lines& lines, const Report& report) {
  const MessageFacts& facts = report.messages;
  if (facts.sent + facts.received + facts.foreign + sum(facts.refused) == 0) return;
  lines.add("messages",
            fmt::format("{} sent, {} of {} received, {} missing, {} twice, {} late, {} wrong",
                        format_count(facts.sent), format_count(facts.received),
                        format_count(facts.expected), format_count(facts.missing()),
                        format_count(facts.duplicates), format_count(facts.reordered),
                        format_count(facts.wrong)));
  if (facts.foreign > 0) lines.add("", fmt::format("{} from others", format_count(facts.foreign)));
  if (facts.unsent > 0)
    lines.add("", fmt::format("{} not sent: the server did not read", format_count(facts.unsent)));
  if (facts.latency.count() > 0) lines.add("latency", percentiles(facts.latency));
  if (facts.lateness.count() > 0) {
    lines.add("", fmt::format("of which sent late: p50 {}, p99 {}",
                              format_duration(facts.lateness.percentile(50)),
                              format_duration(facts.lateness.percentile(99))));
  }
  if (facts.publishing.count() > 0) lines.add("publishing", percentiles(facts.publishing));
  if (!facts.refused.empty()) add_reasons(lines, "not published", facts.refused);
}

}  // namespace

std::string to_text(const Report& report) {
  Lines lines;
  lines.add("verdict", report.verdict.text);
  for (const std::string& note : report.verdict.notes) lines.add("", note);
  add_opening(lines, report);
  add_holding(lines, report);
  add_odd(lines, report.odd);
  add_messages(lines, report);
  lines.add("generator",
            fmt::format("{:.0f} % of {} CPUs (user {}, system {}), {} workers over {}, {} at most",
                        report.own.share_of_cpus() * 100, report.own.cpus,
                        format_duration(report.own.user), format_duration(report.own.system),
                        report.workers, report.io,
                        format_bytes(static_cast<double>(report.own.resident_bytes_max))));
  lines.add("", fmt::format("its workers busy {:.0f} % while opening, {:.0f} % while holding",
                            report.own.busy_opening * 100, report.own.busy_holding * 100));
  for (const MachineFacts& machine : report.machines) {
    lines.add("machine", fmt::format("{}: {}, {} CPUs ({}), {}", machine.host, machine.kernel,
                                     machine.cpus, machine.cpu.empty() ? "unknown" : machine.cpu,
                                     format_bytes(static_cast<double>(machine.memory_bytes))));
  }
  return fmt::format("\n{} on {}, {} connections\n", report.scenario, report.url,
                     format_count(report.connections)) +
         lines.take();
}

}  // namespace holdfast::load
