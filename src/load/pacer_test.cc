#include "load/pacer.h"

#include <gtest/gtest.h>

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

std::uint64_t happen_until(Pacer& pacer, Instant now) {
  while (pacer.next_due() <= now) pacer.advance();
  return pacer.done();
}

TEST(Pacer, SpreadsEventsEvenlyOverTheSecond) {
  Pacer pacer(kStart, 100);
  EXPECT_EQ(happen_until(pacer, kStart), 1u);
  EXPECT_EQ(happen_until(pacer, kStart + milliseconds(9)), 1u);
  EXPECT_EQ(happen_until(pacer, kStart + milliseconds(10)), 2u);
  EXPECT_EQ(happen_until(pacer, kStart + milliseconds(999)), 100u);
}

TEST(Pacer, KeepsWhatWasMissedDue) {
  Pacer pacer(kStart, 1000);
  EXPECT_EQ(happen_until(pacer, kStart + seconds(3) - milliseconds(1)), 3000u);
}

TEST(Pacer, TellsWhenALateEventShouldHaveHappened) {
  Pacer pacer(kStart, 2);
  pacer.advance();
  EXPECT_EQ(pacer.next_due(), kStart + milliseconds(500));
}

TEST(Pacer, DoesNotDriftOverAnHourOfThirds) {
  Pacer pacer(kStart, 3);
  for (int i = 0; i < 3 * 3600; ++i) pacer.advance();
  EXPECT_LT(std::chrono::abs(pacer.next_due() - (kStart + seconds(3600))), milliseconds(1));
}

TEST(Pacer, TakesRatesBelowOneASecond) {
  Pacer pacer(kStart, 0.1);
  EXPECT_EQ(happen_until(pacer, kStart + seconds(25)), 3u);
}

}  // namespace
}  // namespace holdfast::load
