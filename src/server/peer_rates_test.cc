#include "server/peer_rates.h"

#include <gtest/gtest.h>

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Instant kStart{seconds(1000)};

TEST(PeerRates, AllowsASecondsWorthAtOnceAndThenTheRate) {
  PeerRates rates(8, 10, 0);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rates.take_message(3, kStart)) << i;
  EXPECT_FALSE(rates.take_message(3, kStart));
  EXPECT_TRUE(rates.take_message(4, kStart));
}

TEST(PeerRates, NeverRefusesThoseWhoKeepTheRate) {
  PeerRates rates(8, 10, 0);
  for (int i = 0; i < 10'000; ++i)
    ASSERT_TRUE(rates.take_message(3, kStart + i * milliseconds(100))) << i;
}

TEST(PeerRates, CountsBytesOfAnySize) {
  PeerRates rates(8, 0, 1000);
  EXPECT_TRUE(rates.take_bytes(3, kStart, 1000));
  EXPECT_FALSE(rates.take_bytes(3, kStart, 1));
  EXPECT_TRUE(rates.take_bytes(3, kStart + seconds(2), 900));
  EXPECT_TRUE(rates.take_message(3, kStart));
}

TEST(PeerRates, ForgetsThePeerThatHadTheDescriptorBefore) {
  PeerRates rates(8, 1, 0);
  EXPECT_TRUE(rates.take_message(3, kStart));
  EXPECT_FALSE(rates.take_message(3, kStart));
  rates.reset(3);
  EXPECT_TRUE(rates.take_message(3, kStart));
}

}  // namespace
}  // namespace holdfast::server
