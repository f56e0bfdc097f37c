#include "pusher/recent_keys.h"

#include <gtest/gtest.h>

namespace holdfast::pusher {
namespace {

TEST(RecentKeys, KnowsAKeyOfAnAppForTenMinutes) {
  RecentKeys keys;
  const Instant now{std::chrono::seconds(1)};
  EXPECT_TRUE(keys.add("a", "k", now));
  EXPECT_FALSE(keys.add("a", "k", now + std::chrono::minutes(10) - Duration(1)));
  EXPECT_TRUE(keys.add("b", "k", now)) << "another app's";
  EXPECT_TRUE(keys.add("a", "k", now + std::chrono::minutes(10)));
}

TEST(RecentKeys, LetsAKeyBeUsedAgainThatCameToNothing) {
  RecentKeys keys;
  const Instant now{};
  keys.add("a", "k", now);
  keys.forget("a", "k");
  EXPECT_TRUE(keys.add("a", "k", now));
}

TEST(RecentKeys, RemembersAKeyFromItsLastUseOn) {
  RecentKeys keys;
  const Instant first{};
  const Instant second = first + RecentKeys::kMemory / 2;
  keys.add("a", "k", first);
  keys.forget("a", "k");
  keys.add("a", "k", second);
  EXPECT_FALSE(keys.add("a", "k", first + RecentKeys::kMemory)) << "the first use came to nothing";
  EXPECT_FALSE(keys.add("a", "k", second + RecentKeys::kMemory - Duration(1)));
  EXPECT_TRUE(keys.add("a", "k", second + RecentKeys::kMemory));
}

TEST(RecentKeys, ForgetsTheOldestWhenThereAreTooMany) {
  RecentKeys keys;
  const Instant now{};
  for (std::size_t i = 0; i <= RecentKeys::kKeysMax; ++i) keys.add("a", std::to_string(i), now);
  EXPECT_TRUE(keys.add("a", "0", now));
  EXPECT_FALSE(keys.add("a", std::to_string(RecentKeys::kKeysMax), now));
}

}  // namespace
}  // namespace holdfast::pusher
