#include "load/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/units.h"

namespace holdfast::load {
namespace {

double per_second(std::uint64_t count, Duration time) {
  return time.count() == 0 ? 0
                           : static_cast<double>(count) * 1e9 / static_cast<double>(time.count());
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", format_count(count), count == 1 ? one : many);
}

// The longest list of reasons that is still read: the most frequent first.
void note_reasons(std::vector<std::string>& notes, std::string_view what, const Reasons& reasons) {
  if (reasons.empty()) return;
  std::vector<std::pair<std::uint64_t, std::string>> ordered;
  for (const auto& [reason, times] : reasons) ordered.emplace_back(times, reason);
  std::sort(ordered.rbegin(), ordered.rend());
  std::string line = fmt::format("{} {}:", what, format_count(sum(reasons)));
  for (std::size_t i = 0; i < ordered.size() && i < 5; ++i) {
    line += fmt::format("{} {} {}", i == 0 ? "" : ",", format_count(ordered[i].first),
                        ordered[i].second);
  }
  if (ordered.size() > 5) line += fmt::format(", and {} other reasons", ordered.size() - 5);
  notes.push_back(std::move(line));
}

// What was asked for and did not happen; empty when all did.
std::string losses(const Report& report) {
  if (report.missing() > 0)
    return fmt::format("lost {}", counted(report.missing(), "connection", "connections"));
  std::uint64_t absent = 0;
  for (const StormRound& round : report.rounds)
    absent += round.dropped > round.returned ? round.dropped - round.returned : 0;
  if (absent > 0)
    return fmt::format("lost {} that did not come back",
                       counted(absent, "connection", "connections"));
  if (const MessageFacts& messages = report.messages; messages.missing() > 0) {
    return fmt::format("lost {} of {} expected", counted(messages.missing(), "message", "messages"),
                       format_count(messages.expected));
  }
  if (report.messages.wrong > 0)
    return fmt::format("lost {} to corruption",
                       counted(report.messages.wrong, "message", "messages"));
  if (!report.messages.refused.empty()) {
    return fmt::format("lost {}",
                       counted(sum(report.messages.refused), "publication", "publications"));
  }
  if ((report.odd.kind == "silent" || report.odd.kind == "mute") && report.odd.still_held() > 0) {
    return fmt::format("lost track: the server still holds {} that vanished",
                       counted(report.odd.still_held(), "peer", "peers"));
  }
  if (report.interrupted) return "lost the end: interrupted while holding";
  return {};
}

// Opening took longer than the pace asked for: by more than a twentieth, and by more than the
// answers to the last ones take.
bool missed_the_pace(const Report& report) {
  if (report.rate == 0 || report.opened == 0) return false;
  const double asked = static_cast<double>(report.opened) / static_cast<double>(report.rate);
  const double took = static_cast<double>(report.time_to_open.count()) / 1e9;
  return took * kRateReachedShare > asked && took - asked > kLastAnswerSeconds;
}

std::string pace(const Report& report) {
  return fmt::format(
      "opened {} a second of {} asked",
      format_count(static_cast<std::uint64_t>(per_second(report.opened, report.time_to_open))),
      format_count(report.rate));
}

std::optional<std::string> opening_bound(const Report& report) {
  if (!missed_the_pace(report) || report.own.busy_opening <= kBusyShare) return std::nullopt;
  return fmt::format(
      "{}, with the generator's workers busy {:.0f} % of the time: the rate is the generator's",
      pace(report), report.own.busy_opening * 100);
}

std::optional<std::string> messages_bound(const Report& report) {
  const MessageFacts& messages = report.messages;
  if (messages.latency.count() == 0) return std::nullopt;
  if (report.own.busy_holding > kBusyShare) {
    return fmt::format(
        "the generator's workers were busy {:.0f} % of the time while latency was measured: part "
        "of it is theirs",
        report.own.busy_holding * 100);
  }
  const Duration late = messages.lateness.percentile(99);
  if (late > kLatenessMin && late * 2 > messages.latency.percentile(99)) {
    return fmt::format(
        "the generator sent up to {} late (p99): more than half of the p99 latency is its own",
        format_duration(late));
  }
  return std::nullopt;
}

}  // namespace

Verdict judge(const Report& report) {
  Verdict verdict;
  if (std::string lost = losses(report); !lost.empty()) {
    verdict.kind = Verdict::Kind::kLost;
    verdict.text = std::move(lost);
  }
  for (auto bound : {opening_bound(report), messages_bound(report)}) {
    if (!bound) continue;
    verdict.notes.push_back("generator-bound: " + *bound);
    if (verdict.kind == Verdict::Kind::kHeld) verdict.kind = Verdict::Kind::kGeneratorBound;
  }
  if (verdict.kind == Verdict::Kind::kHeld) verdict.text = "held";
  if (verdict.kind == Verdict::Kind::kGeneratorBound) verdict.text = "generator-bound";

  if (missed_the_pace(report) && !opening_bound(report)) {
    verdict.notes.push_back(pace(report) +
                            ": the server, or what it shares the machine with, took no more");
  }
  note_reasons(verdict.notes, "refused", report.refused);
  if (report.never_tried > 0)
    verdict.notes.push_back(fmt::format("never tried {}", format_count(report.never_tried)));
  note_reasons(verdict.notes, "lost while held", report.lost);
  note_reasons(verdict.notes, "publications refused", report.messages.refused);
  return verdict;
}

int exit_code_of(const Verdict& verdict) { return verdict.kind == Verdict::Kind::kLost ? 1 : 0; }

std::string_view name(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kHeld:
      return "held";
    case Verdict::Kind::kGeneratorBound:
      return "generator-bound";
    case Verdict::Kind::kLost:
      return "lost";
  }
  return "lost";
}

Verdict::Kind verdict_kind(std::string_view word) {
  if (word == "held") return Verdict::Kind::kHeld;
  if (word == "generator-bound") return Verdict::Kind::kGeneratorBound;
  return Verdict::Kind::kLost;
}

}  // namespace holdfast::load
