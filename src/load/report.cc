#include "load/report.h"

#include <algorithm>
#include <cmath>

namespace holdfast::load {

std::uint64_t sum(const Reasons& reasons) {
  std::uint64_t total = 0;
  for (const auto& [reason, times] : reasons) total += times;
  return total;
}

void add(Reasons& into, const Reasons& other) {
  for (const auto& [reason, times] : other) into[reason] += times;
}

void add(Second& into, const Second& other) {
  into.open += other.open;
  into.opened += other.opened;
  into.refused += other.refused;
  into.lost += other.lost;
  into.pings += other.pings;
  into.sent += other.sent;
  into.received += other.received;
  // All histograms have one shape, so equal durations have equal buckets and this adds up exactly.
  std::vector<Bucket> merged;
  merged.reserve(into.latency.size() + other.latency.size());
  auto mine = into.latency.begin();
  for (const Bucket bucket : other.latency) {
    while (mine != into.latency.end() && mine->microseconds < bucket.microseconds)
      merged.push_back(*mine++);
    merged.push_back(bucket);
    if (mine != into.latency.end() && mine->microseconds == bucket.microseconds)
      merged.back().times += (mine++)->times;
  }
  merged.insert(merged.end(), mine, into.latency.end());
  into.latency = std::move(merged);
}

Duration percentile(const std::vector<Bucket>& buckets, double percent) {
  std::uint64_t total = 0;
  for (const Bucket bucket : buckets) total += bucket.times;
  const auto wanted =
      static_cast<std::uint64_t>(std::ceil(static_cast<double>(total) * percent / 100));
  std::uint64_t seen = 0;
  for (const Bucket bucket : buckets) {
    seen += bucket.times;
    if (seen >= wanted) return std::chrono::microseconds(bucket.microseconds);
  }
  return Duration(0);
}

double OwnUse::share_of_cpus() const {
  const double available = static_cast<double>(wall.count()) * static_cast<double>(cpus);
  return available == 0 ? 0 : static_cast<double>((user + system).count()) / available;
}

void add(TlsFacts& into, const TlsFacts& other) {
  into.full += other.full;
  into.resumed += other.resumed;
  into.attached += other.attached;
  into.unexpected += other.unexpected;
  into.unverified += other.unverified;
  into.alerts += other.alerts;
  into.timeouts += other.timeouts;
  into.others += other.others;
}

void add(MessageFacts& into, const MessageFacts& other) {
  into.sent += other.sent;
  add(into.refused, other.refused);
  into.expected += other.expected;
  into.received += other.received;
  into.duplicates += other.duplicates;
  into.reordered += other.reordered;
  into.wrong += other.wrong;
  into.foreign += other.foreign;
  into.unsent += other.unsent;
  into.received_bytes += other.received_bytes;
  into.latency.add(other.latency);
  into.lateness.add(other.lateness);
  into.publishing.add(other.publishing);
}

void Report::count_pings_by_second() {
  pings.in_whole_seconds = pings.most_in_a_second = 0;
  for (std::uint64_t i = 0; i < pings.whole_seconds; ++i) {
    const auto at = static_cast<std::uint64_t>(pings.first_whole_second - series_start) + i;
    if (at >= series.size()) break;
    pings.in_whole_seconds += series[at].pings;
    pings.most_in_a_second = std::max(pings.most_in_a_second, series[at].pings);
  }
}

std::uint64_t Report::missing() const {
  const std::uint64_t accounted = held + odd.opened;
  return connections > accounted ? connections - accounted : 0;
}

}  // namespace holdfast::load
