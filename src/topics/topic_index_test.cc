#include "topics/topic_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace holdfast::topics {
namespace {

std::vector<std::uint32_t> subscribers(const TopicIndex& index, std::string_view topic) {
  std::vector<std::uint32_t> result;
  index.for_each(topic, [&](std::uint32_t subscriber) { result.push_back(subscriber); });
  return result;
}

TEST(TopicIndex, WalksSubscribersInRisingOrder) {
  TopicIndex index(100'000);
  for (const std::uint32_t subscriber : {70'000u, 3u, 500u})
    EXPECT_TRUE(index.subscribe(subscriber, "news"));
  EXPECT_FALSE(index.subscribe(3, "news"));
  EXPECT_EQ(subscribers(index, "news"), (std::vector<std::uint32_t>{3, 500, 70'000}));
  EXPECT_TRUE(subscribers(index, "other").empty());
}

TEST(TopicIndex, ForgetsATopicWithItsLastSubscriber) {
  TopicIndex index(10);
  index.subscribe(1, "a");
  index.subscribe(1, "b");
  index.subscribe(1, "c");
  EXPECT_EQ(index.topic_count(), 3u);
  EXPECT_TRUE(index.is_subscribed(1, "b"));
  EXPECT_FALSE(index.is_subscribed(2, "b"));
  EXPECT_TRUE(index.unsubscribe(1, "b"));
  EXPECT_FALSE(index.is_subscribed(1, "b"));
  EXPECT_FALSE(index.unsubscribe(1, "b"));
  EXPECT_FALSE(index.unsubscribe(2, "a"));
  EXPECT_EQ(index.topic_count(), 2u);
  index.unsubscribe_all(1);
  EXPECT_EQ(index.topic_count(), 0u);
}

TEST(TopicIndex, AgreesWithAPlainMapOverManyRandomSteps) {
  TopicIndex index(200);
  std::map<std::string, std::set<std::uint32_t>> model;
  std::mt19937 random(7);
  for (int step = 0; step < 20'000; ++step) {
    const auto subscriber = static_cast<std::uint32_t>(random() % 200);
    const std::string topic = "t" + std::to_string(random() % 12);
    switch (random() % 5) {
      case 0:
        index.unsubscribe_all(subscriber);
        for (auto& [name, members] : model) members.erase(subscriber);
        break;
      case 1:
      case 2:
        EXPECT_EQ(index.unsubscribe(subscriber, topic), model[topic].erase(subscriber) == 1);
        break;
      default:
        EXPECT_EQ(index.subscribe(subscriber, topic), model[topic].insert(subscriber).second);
    }
  }
  std::size_t live = 0;
  for (const auto& [name, members] : model) {
    EXPECT_EQ(subscribers(index, name), std::vector<std::uint32_t>(members.begin(), members.end()))
        << name;
    EXPECT_EQ(index.subscriber_count(name), members.size());
    live += members.empty() ? 0 : 1;
  }
  EXPECT_EQ(index.topic_count(), live);
}

TEST(TopicIndex, TellsTheTopicsOfASubscriberAndTheSubscribersOfEachTopic) {
  TopicIndex index(10);
  index.subscribe(1, "a");
  index.subscribe(1, "b");
  index.subscribe(2, "b");
  EXPECT_THAT(index.topics_of(0), testing::IsEmpty());
  EXPECT_THAT(index.topics_of(1), testing::ElementsAre("a", "b"));
  EXPECT_THAT(index.topics_of(2), testing::ElementsAre("b"));
  std::map<std::string, std::uint64_t> sizes;
  index.for_each_topic([&](std::string_view topic, std::uint64_t subscribers) {
    sizes[std::string(topic)] = subscribers;
  });
  EXPECT_THAT(sizes, testing::ElementsAre(testing::Pair("a", 1), testing::Pair("b", 2)));
}

}  // namespace
}  // namespace holdfast::topics
