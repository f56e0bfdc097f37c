#include "server/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::server {
namespace {

using testing::ElementsAre;

ConnectionRow row(std::uint32_t descriptor, std::uint64_t queued, int silent_seconds) {
  ConnectionRow row{};
  row.id = {0, descriptor, 1};
  row.queued_bytes = queued;
  row.silent_for = std::chrono::seconds(silent_seconds);
  return row;
}

std::vector<std::uint32_t> kept(std::vector<ConnectionRow> rows, const SurveyOrder& order) {
  keep_first(rows, order);
  std::vector<std::uint32_t> descriptors;
  for (const ConnectionRow& one : rows) descriptors.push_back(one.id.descriptor);
  return descriptors;
}

TEST(Survey, PutsThoseWithTheMostWaitingFirst) {
  EXPECT_THAT(kept({row(1, 0, 9), row(2, 70, 1), row(3, 80, 1)}, {.connections_max = 2}),
              ElementsAre(3, 2));
}

TEST(Survey, PutsTheLongestSilentFirstWhereThatIsAskedFor) {
  EXPECT_THAT(kept({row(1, 0, 9), row(2, 70, 1), row(3, 80, 12)},
                   {.connections_max = 3, .sort = SurveySort::kSilent}),
              ElementsAre(3, 1, 2));
}

TEST(Survey, AddsUpWhatWorkersHaveOfOneTopic) {
  std::vector<TopicRow> topics = {{"a", 1}, {"b", 2}, {"a", 3}, {"c", 3}};
  keep_largest(topics, 2);
  ASSERT_EQ(topics.size(), 2u);
  EXPECT_EQ(topics[0].name, "a");
  EXPECT_EQ(topics[0].subscribers, 4u);
  EXPECT_EQ(topics[1].name, "c");
}

}  // namespace
}  // namespace holdfast::server
