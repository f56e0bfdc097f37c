#include "server/naming_times.h"

#include <gtest/gtest.h>

namespace holdfast::server {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{hours(5)};

TEST(NamingTimes, TellsToTheSecondWhenANameWasHandedOut) {
  NamingTimes times;
  for (std::uint32_t serial = 1; serial <= 5'000; ++serial)
    times.note(serial, kStart + milliseconds(serial));
  for (std::uint32_t serial = 1; serial <= 5'000; serial += 7) {
    const Duration wrong = kStart + milliseconds(serial) - times.when(serial);
    EXPECT_GE(wrong, Duration(0));
    EXPECT_LE(wrong, seconds(1)) << serial;
  }
  EXPECT_EQ(times.when(5'001), Instant());
}

TEST(NamingTimes, KnowsOldNamesLessExactlyAndTakesNoMoreRoom) {
  NamingTimes times;
  for (std::uint32_t serial = 1; serial <= 20'000; ++serial)
    times.note(serial, kStart + seconds(serial));
  for (std::uint32_t serial = 1; serial <= 20'000; serial += 97) {
    const Duration age = seconds(20'000 - serial);
    const Duration wrong = kStart + seconds(serial) - times.when(serial);
    EXPECT_GE(wrong, Duration(0));
    EXPECT_LE(wrong, std::max<Duration>(seconds(1), age / NamingTimes::kExactness)) << serial;
  }
}

TEST(NamingTimes, BeginsAnewWhenTheCountingDoes) {
  NamingTimes times;
  times.note(0xFFFFFFFF, kStart);
  times.note(1, kStart + seconds(9));
  EXPECT_EQ(times.when(1), kStart + seconds(9));
}

}  // namespace
}  // namespace holdfast::server
