// What an operator asks of a worker's connections.

#include <algorithm>
#include <utility>
#include <vector>

#include "server/survey.h"
#include "server/windows.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

// A worker tells more topics than are wanted: what is small here may be large in all.
constexpr std::size_t kTopicsToldMin = 1'000;

// What the table itself knows, for every connection; the kernel is asked about the chosen alone.
struct Candidate {
  int descriptor;
  std::uint64_t queued;
  std::int32_t silent_ticks;
};

}  // namespace

Survey Worker::survey(const SurveyOrder& order) {
  Survey found;
  std::vector<Candidate> candidates;
  const Tick now = tick_of(loop_.now());
  for (int descriptor = 0; order.connections_max > 0 && descriptor < table_.end(); ++descriptor) {
    const Connection& connection = table_[descriptor];
    if (connection.state != State::kOpen && connection.state != State::kClosing) continue;
    candidates.push_back({descriptor,
                          connection.busy == nullptr ? 0 : connection.busy->outbox.bytes(),
                          ticks_since(now, connection.since)});
  }
  const auto comes_before = [&](const Candidate& left, const Candidate& right) {
    if (order.sort == SurveySort::kQueued && left.queued != right.queued)
      return left.queued > right.queued;
    return left.silent_ticks > right.silent_ticks;
  };
  const std::size_t count = std::min(candidates.size(), order.connections_max);
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates.end(), comes_before);
  candidates.resize(count);
  for (const Candidate& candidate : candidates)
    found.connections.push_back(row_of(candidate.descriptor));

  if (order.topics_max == 0) return found;
  topics_.for_each_topic([&](std::string_view key, std::uint64_t subscribers) {
    found.topics.push_back({std::string(Windows::topic_of(key)), subscribers});
  });
  keep_largest(found.topics, std::max(order.topics_max, kTopicsToldMin));
  return found;
}

ConnectionRow Worker::row_of(int descriptor) {
  const Connection& connection = table_[descriptor];
  const auto known_for = belongings_.named_for(descriptor, loop_.now());
  ConnectionRow row{.id = id_of(descriptor),
                    .known_for = known_for,
                    .address = address_of(descriptor),
                    .path = router_.pattern(connection.route),
                    .is_open = connection.state == State::kOpen,
                    .deflates = connection.deflate != 0 && !connection.is_event_stream(),
                    .queued_bytes = queued_bytes(descriptor),
                    .topics = {},
                    .topic_count = 0,
                    .received_bytes = {},
                    .sent_bytes = {},
                    .silent_for = {},
                    .round_trip = {}};
  const auto keys = topics_.topics_of(static_cast<std::uint32_t>(descriptor));
  row.topic_count = keys.size();
  for (std::size_t i = 0; i < std::min(keys.size(), kTopicsShown); ++i)
    row.topics.emplace_back(Windows::topic_of(keys[i]));
  if (const auto facts = loop_.tcp_facts(descriptor)) {
    row.received_bytes = facts->received_bytes;
    row.sent_bytes = facts->sent_bytes;
    row.silent_for = facts->silent_for;
    row.round_trip = facts->round_trip;
  }
  return row;
}

}  // namespace holdfast::server
