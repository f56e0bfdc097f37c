#include "load/report_assembly.h"

#include <algorithm>

namespace holdfast::load {
namespace {

void add_pings(PingFacts& into, const PingFacts& from) {
  if (from.connections == 0) return;
  into.least = into.connections == 0 ? from.least : std::min(into.least, from.least);
  into.most = std::max(into.most, from.most);
  into.total += from.total;
  into.connections += from.connections;
}

void count_whole_seconds(Report& report, const Conductor& conductor, Instant origin) {
  for (std::size_t i = 0; i < report.series.size(); ++i) {
    const Instant begin = origin + std::chrono::seconds(i);
    if (begin < conductor.hold_began() || begin + std::chrono::seconds(1) > conductor.hold_ended())
      continue;
    if (report.pings.whole_seconds++ == 0)
      report.pings.first_whole_second = report.series_start + static_cast<std::int64_t>(i);
  }
  report.count_pings_by_second();
}

void add_rounds(Report& report, const Conductor& conductor,
                std::span<const WorkerOutcome> outcomes) {
  for (std::size_t i = 0; i < conductor.times_to_full().size(); ++i) {
    StormRound round;
    round.time_to_full = conductor.times_to_full()[i];
    for (const WorkerOutcome& outcome : outcomes) {
      if (i < outcome.dropped.size()) round.dropped += outcome.dropped[i];
      if (i < outcome.returned.size()) round.returned += outcome.returned[i];
      if (i < outcome.refusals.size()) round.refusals += outcome.refusals[i];
    }
    report.rounds.push_back(round);
  }
}

double busy(std::span<const WorkerOutcome> outcomes, ThreadUse WorkerOutcome::* use,
            Duration WorkerOutcome::* wall) {
  double sum = 0;
  for (const WorkerOutcome& outcome : outcomes) {
    if ((outcome.*wall).count() == 0) continue;
    sum += static_cast<double>((outcome.*use).on_cpu.count() + (outcome.*use).waiting.count()) /
           static_cast<double>((outcome.*wall).count());
  }
  return outcomes.empty() ? 0 : std::min(1.0, sum / static_cast<double>(outcomes.size()));
}

}  // namespace

Report assemble_report(const LoadPlan& plan, const Conductor& conductor,
                       std::span<const WorkerOutcome> outcomes, Instant origin,
                       std::int64_t series_start) {
  Report report;
  report.url = plan.target.url;
  report.scenario = name(plan.options.scenario);
  report.workers = plan.shares.workers;
  report.source_addresses = plan.sources.address_count();
  report.interrupted = conductor.interrupted();
  report.connections = plan.options.connections;
  report.rate = plan.options.rate;
  report.hold = plan.options.hold;
  const bool talks = plan.traffic == Traffic::kEcho || plan.traffic == Traffic::kPublish;
  report.message_rate = talks ? plan.options.message_rate : 0;
  report.message_bytes = talks ? plan.options.message_bytes : 0;
  report.never_tried = plan.fewer;
  report.series_start = series_start;
  if (!outcomes.empty()) report.io = outcomes.front().io;

  Instant last_answer = conductor.opening_began();
  std::uint64_t expecting = 0;
  for (const WorkerOutcome& outcome : outcomes) {
    const Tally& tally = outcome.tally;
    report.opened += outcome.opened;
    add(report.refused, tally.refused_by_reason);
    add(report.lost, tally.lost_by_reason);
    report.server_closed += tally.server_closed;
    report.pings_in_all += tally.pings;
    report.opening.add(tally.opening);
    report.never_tried += outcome.never_tried;
    report.held += outcome.held;
    expecting += outcome.expecting;
    last_answer = std::max(last_answer, outcome.last_answer);
    add(report.messages, tally.messages);
    add(report.tls, tally.tls);
    add_pings(report.pings, outcome.pings);
    if (report.series.size() < tally.seconds.size()) report.series.resize(tally.seconds.size());
    for (std::size_t i = 0; i < tally.seconds.size(); ++i) add(report.series[i], tally.seconds[i]);
  }
  if (plan.traffic == Traffic::kPublish)
    report.messages.expected = report.messages.sent * expecting;
  report.time_to_open = last_answer - conductor.opening_began();
  report.held_for = conductor.hold_ended() - conductor.hold_began();
  report.own.busy_opening =
      busy(outcomes, &WorkerOutcome::opening_use, &WorkerOutcome::opening_wall);
  report.own.busy_holding =
      busy(outcomes, &WorkerOutcome::holding_use, &WorkerOutcome::holding_wall);
  count_whole_seconds(report, conductor, origin);
  add_rounds(report, conductor, outcomes);
  return report;
}

}  // namespace holdfast::load
