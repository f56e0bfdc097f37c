#include "load/report_merge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "load/verdict.h"

namespace holdfast::load {
namespace {

constexpr std::int64_t kApartSecondsMax = 86'400;

// Adds a text to a list of such, unless it is there.
void add_text(std::string& into, const std::string& text) {
  constexpr std::string_view kBetween = ", ";
  if (text.empty() || (", " + into + ", ").find(", " + text + ", ") != std::string::npos) return;
  if (!into.empty()) into += kBetween;
  into += text;
}

void add_machines(Report& into, const Report& other) {
  for (const MachineFacts& machine : other.machines) {
    const auto known =
        std::find_if(into.machines.begin(), into.machines.end(), [&](const MachineFacts& each) {
          return each.host == machine.host && each.kernel == machine.kernel;
        });
    // Two generators of one machine share its CPUs.
    if (known != into.machines.end()) continue;
    into.machines.push_back(machine);
    into.own.cpus += machine.cpus;
  }
}

void add_series(Report& into, const Report& other) {
  if (other.series.empty()) return;
  if (into.series.empty()) into.series_start = other.series_start;
  if (other.series_start < into.series_start) {
    into.series.insert(into.series.begin(),
                       static_cast<std::size_t>(into.series_start - other.series_start), Second());
    into.series_start = other.series_start;
  }
  const auto offset = static_cast<std::size_t>(other.series_start - into.series_start);
  into.series.resize(std::max(into.series.size(), offset + other.series.size()));
  for (std::size_t i = 0; i < other.series.size(); ++i)
    load::add(into.series[offset + i], other.series[i]);
}

// The seconds in which all of them were holding: in others a rate would miss a part of the crowd.
void add_pings(PingFacts& into, const PingFacts& from) {
  if (from.connections > 0) {
    into.least = into.connections == 0 ? from.least : std::min(into.least, from.least);
    into.most = std::max(into.most, from.most);
    into.total += from.total;
    into.connections += from.connections;
  }
  const std::int64_t first = std::max(into.first_whole_second, from.first_whole_second);
  const std::int64_t end =
      std::min(into.first_whole_second + static_cast<std::int64_t>(into.whole_seconds),
               from.first_whole_second + static_cast<std::int64_t>(from.whole_seconds));
  into.first_whole_second = first;
  into.whole_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(end - first, 0));
}

void add_rounds(std::vector<StormRound>& into, const std::vector<StormRound>& from) {
  into.resize(std::max(into.size(), from.size()));
  for (std::size_t i = 0; i < from.size(); ++i) {
    into[i].dropped += from[i].dropped;
    into[i].returned += from[i].returned;
    into[i].refusals += from[i].refusals;
    into[i].time_to_full = std::max(into[i].time_to_full, from[i].time_to_full);
  }
}

void add_odd(OddPeerFacts& into, const OddPeerFacts& from) {
  add_text(into.kind, from.kind);
  into.asked += from.asked;
  into.opened += from.opened;
  into.dropped += from.dropped;
  into.dropped_after.add(from.dropped_after);
}

void add_own(OwnUse& into, const OwnUse& from) {
  into.user += from.user;
  into.system += from.system;
  into.wall = std::max(into.wall, from.wall);
  into.busy_opening = std::max(into.busy_opening, from.busy_opening);
  into.busy_holding = std::max(into.busy_holding, from.busy_holding);
  into.resident_bytes_max += from.resident_bytes_max;
}

void add(Report& into, const Report& other) {
  add_text(into.version, other.version);
  into.command_line += "\n" + other.command_line;
  add_machines(into, other);
  add_text(into.url, other.url);
  add_text(into.io, other.io);
  into.workers += other.workers;
  into.source_addresses += other.source_addresses;
  into.interrupted |= other.interrupted;
  into.connections += other.connections;
  // Where one of them had no pace, all together have none.
  into.rate = into.rate == 0 || other.rate == 0 ? 0 : into.rate + other.rate;
  into.hold = std::max(into.hold, other.hold);
  into.message_rate = into.scenario == "echo" ? std::max(into.message_rate, other.message_rate)
                                              : into.message_rate + other.message_rate;
  into.message_bytes = std::max(into.message_bytes, other.message_bytes);
  into.opened += other.opened;
  load::add(into.refused, other.refused);
  into.never_tried += other.never_tried;
  into.time_to_open = std::max(into.time_to_open, other.time_to_open);
  into.opening.add(other.opening);
  into.held += other.held;
  load::add(into.lost, other.lost);
  into.server_closed += other.server_closed;
  into.pings_in_all += other.pings_in_all;
  into.held_for = std::max(into.held_for, other.held_for);
  add_pings(into.pings, other.pings);
  load::add(into.messages, other.messages);
  load::add(into.tls, other.tls);
  add_rounds(into.rounds, other.rounds);
  add_odd(into.odd, other.odd);
  add_own(into.own, other.own);
  add_series(into, other);
}

Verdict joint_verdict(const Report& merged, std::span<const Report> reports) {
  Verdict verdict = judge(merged);
  for (const Report& report : reports) {
    if (report.verdict.kind > verdict.kind) {
      verdict.kind = report.verdict.kind;
      verdict.text = report.verdict.text;
    }
    // What is said of a machine's own limits is not seen in the sums.
    for (const std::string& note : report.verdict.notes) {
      if (note.starts_with("generator-bound")) {
        verdict.notes.push_back(fmt::format(
            "{}: {}", report.machines.empty() ? "" : report.machines.front().host, note));
      }
    }
  }
  return verdict;
}

}  // namespace

Result<Report> merge_reports(std::span<const Report> reports) {
  CHECK(!reports.empty());
  Report merged = reports.front();
  for (const Report& report : reports.subspan(1)) {
    if (report.scenario != merged.scenario) {
      return failure(fmt::format("reports of different scenarios ({} and {}) cannot be added up",
                                 merged.scenario, report.scenario));
    }
    if (std::abs(report.series_start - merged.series_start) > kApartSecondsMax) {
      return failure(
          "reports of runs more than a day apart cannot be added up: they did not load the server "
          "together");
    }
    add(merged, report);
  }
  merged.count_pings_by_second();
  if (reports.size() > 1) merged.verdict = joint_verdict(merged, reports);
  return merged;
}

}  // namespace holdfast::load
