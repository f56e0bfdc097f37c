#include "load/opener.h"

#include <gtest/gtest.h>

#include <vector>

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
constexpr Instant kStart{std::chrono::seconds(5)};

std::vector<std::uint32_t> take_all(Opener& opener, Instant now) {
  std::vector<std::uint32_t> taken;
  while (const auto ordinal = opener.take(now)) taken.push_back(*ordinal);
  return taken;
}

TEST(Opener, HasNothingToDoBeforeItBegins) {
  Opener opener(3);
  EXPECT_TRUE(opener.done());
  EXPECT_EQ(opener.next_due(), kNever);
  EXPECT_FALSE(opener.take(kStart));
}

TEST(Opener, KeepsThePace) {
  Opener opener(100);
  opener.begin(kStart, 10);
  EXPECT_EQ(take_all(opener, kStart).size(), 1u);
  EXPECT_EQ(opener.next_due(), kStart + milliseconds(100));
  EXPECT_EQ(take_all(opener, kStart + milliseconds(350)), (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST(Opener, WithoutAPaceGivesAllAtOnce) {
  Opener opener(3);
  opener.begin(kStart, 0);
  EXPECT_LE(opener.next_due(), kStart);
  EXPECT_EQ(take_all(opener, kStart), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_TRUE(opener.done());
}

TEST(Opener, BringsARefusedOneAgainAfterItsDelay) {
  Opener opener(2);
  opener.begin(kStart, 0);
  take_all(opener, kStart);
  opener.retry(1, kStart + milliseconds(250));
  EXPECT_FALSE(opener.done());
  EXPECT_EQ(opener.next_due(), kStart + milliseconds(250));
  EXPECT_FALSE(opener.take(kStart + milliseconds(249)));
  EXPECT_EQ(opener.take(kStart + milliseconds(250)), 1u);
  EXPECT_TRUE(opener.done());
}

TEST(Opener, SaysHowManyItNeverGaveOut) {
  Opener opener(10);
  opener.begin(kStart, 1);
  opener.take(kStart);
  opener.retry(0, kStart + milliseconds(250));
  EXPECT_EQ(opener.give_up(), 10u);
  EXPECT_TRUE(opener.done());
  EXPECT_EQ(opener.next_due(), kNever);
}

TEST(Opener, CanBeginAgain) {
  Opener opener(2);
  opener.begin(kStart, 0);
  take_all(opener, kStart);
  opener.begin(kStart + milliseconds(9), 0);
  EXPECT_EQ(take_all(opener, kStart + milliseconds(9)), (std::vector<std::uint32_t>{0, 1}));
}

}  // namespace
}  // namespace holdfast::load
