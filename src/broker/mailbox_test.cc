#include "broker/mailbox.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

namespace holdfast::broker {
namespace {

SharedPublication publication(std::string topic) {
  auto publication = std::make_shared<Publication>();
  publication->topic = std::move(topic);
  publication->wire = SharedBytes::copy_of(as_bytes("x"));
  return publication;
}

TEST(Mailbox, KeepsTheOrderAndRefusesWhenFull) {
  auto waker = net::Waker::create().value();
  Mailbox mailbox(*waker, 2);
  EXPECT_TRUE(mailbox.post(publication("a")));
  EXPECT_TRUE(mailbox.post(publication("b")));
  EXPECT_FALSE(mailbox.post(publication("c")));
  EXPECT_EQ((*mailbox.next())->topic, "a");
  EXPECT_TRUE(mailbox.post(publication("d")));
  EXPECT_EQ((*mailbox.next())->topic, "b");
  EXPECT_EQ((*mailbox.next())->topic, "d");
  EXPECT_FALSE(mailbox.next());
}

TEST(Mailbox, LosesNothingBetweenManyWritersAndOneReader) {
  auto waker = net::Waker::create().value();
  Mailbox mailbox(*waker, 1'000'000);
  constexpr int kWriters = 4;
  constexpr int kEach = 5000;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kEach; ++i)
        mailbox.post(publication(std::to_string(writer) + ":" + std::to_string(i)));
    });
  }
  std::map<char, int> seen;
  for (int count = 0; count < kWriters * kEach;) {
    const auto next = mailbox.next();
    if (!next) {
      std::this_thread::yield();
      continue;
    }
    const std::string& topic = (*next)->topic;
    EXPECT_EQ(std::stoi(topic.substr(2)), seen[topic[0]]++);
    ++count;
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_FALSE(mailbox.next());
}

}  // namespace
}  // namespace holdfast::broker
