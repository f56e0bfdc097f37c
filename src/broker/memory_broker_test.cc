#include "broker/memory_broker.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace holdfast::broker {
namespace {

SharedPublication publication(std::string topic, std::string text) {
  auto publication = std::make_shared<Publication>();
  publication->topic = std::move(topic);
  publication->wire = SharedBytes::copy_of(as_bytes(text));
  return publication;
}

class MemoryBrokerTest : public testing::Test {
 protected:
  static std::vector<std::string> read(Mailbox& mailbox) {
    std::vector<std::string> texts;
    while (const auto one = mailbox.next()) texts.emplace_back(as_text((*one)->wire.bytes()));
    return texts;
  }
  std::unique_ptr<net::Waker> waker_ = net::Waker::create().value();
  Mailbox first_{*waker_, 100'000}, second_{*waker_, 100'000}, tiny_{*waker_, 1};
  MemoryBroker broker_{{&first_, &second_, &tiny_}};
};

TEST_F(MemoryBrokerTest, ReachesOnlyTheWorkersThatWantTheTopic) {
  broker_.gain_interest(1, "news");
  EXPECT_EQ(broker_.publish(publication("news", "a")), 0u);
  EXPECT_EQ(broker_.publish(publication("sport", "b")), 0u);
  EXPECT_TRUE(read(first_).empty());
  EXPECT_EQ(read(second_), std::vector<std::string>{"a"});
}

TEST_F(MemoryBrokerTest, CountsInterestSoThatTheLastOneEndsIt) {
  broker_.gain_interest(0, "news");
  broker_.gain_interest(0, "news");
  broker_.lose_interest(0, "news");
  broker_.publish(publication("news", "a"));
  broker_.lose_interest(0, "news");
  broker_.publish(publication("news", "b"));
  EXPECT_EQ(read(first_), std::vector<std::string>{"a"});
}

TEST_F(MemoryBrokerTest, SaysHowManyMailboxesWereFull) {
  broker_.gain_interest(0, "news");
  broker_.gain_interest(2, "news");
  EXPECT_EQ(broker_.publish(publication("news", "a")), 0u);
  EXPECT_EQ(broker_.publish(publication("news", "b")), 1u);
  EXPECT_EQ(read(first_), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read(tiny_), std::vector<std::string>{"a"});
}

TEST_F(MemoryBrokerTest, GivesAllWorkersTheSameOrderWhoeverPublishes) {
  broker_.gain_interest(0, "news");
  broker_.gain_interest(1, "news");
  std::vector<std::thread> publishers;
  for (char name : {'a', 'b', 'c'}) {
    publishers.emplace_back([this, name] {
      for (int i = 0; i < 2000; ++i) broker_.publish(publication("news", name + std::to_string(i)));
    });
  }
  for (std::thread& publisher : publishers) publisher.join();
  const auto seen = read(first_);
  EXPECT_EQ(seen.size(), 6000u);
  EXPECT_EQ(seen, read(second_));
}

}  // namespace
}  // namespace holdfast::broker
