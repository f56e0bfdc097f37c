#include "server/survey.h"

#include <algorithm>
#include <utility>

namespace holdfast::server {
namespace {

bool comes_before(const ConnectionRow& left, const ConnectionRow& right, SurveySort sort) {
  if (sort == SurveySort::kQueued && left.queued_bytes != right.queued_bytes)
    return left.queued_bytes > right.queued_bytes;
  return left.silent_for.value_or(Duration::zero()) > right.silent_for.value_or(Duration::zero());
}

}  // namespace

void keep_first(std::vector<ConnectionRow>& rows, const SurveyOrder& order) {
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& left, const auto& right) {
    return comes_before(left, right, order.sort);
  });
  if (rows.size() > order.connections_max) rows.resize(order.connections_max);
}

void keep_largest(std::vector<TopicRow>& topics, std::size_t most) {
  std::sort(topics.begin(), topics.end(),
            [](const TopicRow& left, const TopicRow& right) { return left.name < right.name; });
  std::vector<TopicRow> joined;
  for (TopicRow& topic : topics) {
    if (!joined.empty() && joined.back().name == topic.name) {
      joined.back().subscribers += topic.subscribers;
    } else {
      joined.push_back(std::move(topic));
    }
  }
  std::stable_sort(joined.begin(), joined.end(), [](const TopicRow& left, const TopicRow& right) {
    return left.subscribers > right.subscribers;
  });
  if (joined.size() > most) joined.resize(most);
  topics = std::move(joined);
}

}  // namespace holdfast::server
