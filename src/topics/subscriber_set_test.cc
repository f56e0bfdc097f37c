#include "topics/subscriber_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace holdfast::topics {
namespace {

std::vector<std::uint32_t> all(const SubscriberSet& set) {
  std::vector<std::uint32_t> result;
  auto note = [&](std::uint32_t subscriber) { result.push_back(subscriber); };
  set.for_each(note);
  return result;
}

TEST(SubscriberSet, IsEmptyAtFirstAndWhenTheLastOneLeft) {
  SubscriberSet set;
  EXPECT_TRUE(set.is_empty());
  EXPECT_TRUE(set.add(7));
  EXPECT_FALSE(set.add(7));
  EXPECT_FALSE(set.is_empty());
  EXPECT_FALSE(set.remove(8));
  EXPECT_TRUE(set.remove(7));
  EXPECT_FALSE(set.remove(7));
  EXPECT_TRUE(set.is_empty());
}

// Through all its forms and back: 2 in place, 64 in an array, more in a bitmap.
TEST(SubscriberSet, AgreesWithAPlainSetInEachOfItsForms) {
  std::mt19937 random(7);
  for (const std::uint32_t most : {2u, 3u, 5u, 64u, 65u, 66u, 300u, 100'000u}) {
    SubscriberSet set;
    std::set<std::uint32_t> plain;
    for (int step = 0; step < 2'000; ++step) {
      const auto one = static_cast<std::uint32_t>(random() % most);
      if (random() % 3 != 0) {
        EXPECT_EQ(set.add(one), plain.insert(one).second);
      } else {
        EXPECT_EQ(set.remove(one), plain.erase(one) == 1);
      }
      ASSERT_EQ(set.size(), plain.size());
      const auto other = static_cast<std::uint32_t>(random() % most);
      ASSERT_EQ(set.contains(other), plain.contains(other));
      ASSERT_EQ(set.is_empty(), plain.empty());
    }
    EXPECT_THAT(all(set), testing::ElementsAreArray(plain));
  }
}

TEST(SubscriberSet, MovesWithAllItHas) {
  for (const std::uint32_t count : {1u, 20u, 200u}) {
    SubscriberSet set;
    for (std::uint32_t i = 0; i < count; ++i) set.add(i);
    SubscriberSet moved = std::move(set);
    EXPECT_EQ(moved.size(), count);
    moved = SubscriberSet();
    EXPECT_TRUE(moved.is_empty());
  }
}

}  // namespace
}  // namespace holdfast::topics
