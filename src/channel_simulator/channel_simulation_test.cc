#include "channel_simulator/channel_simulation.h"

#include <gtest/gtest.h>

namespace holdfast::channel_simulator {
namespace {

using pusher::Identity;
using std::chrono::seconds;

constexpr Instant kStart{seconds(10)};
const Identity kAnna{"anna", "null"}, kBob{"bob", "null"};

TEST(ChannelSimulation, IsTheSameRunForTheSameSeed) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Outcome first = Simulation(seed).run();
    ASSERT_EQ(first.failure, "") << "seed " << seed << '\n' << first.last_events;
    EXPECT_EQ(first.hash, Simulation(seed).run().hash) << "seed " << seed;
  }
  EXPECT_NE(Simulation(1).run().hash, Simulation(2).run().hash);
}

TEST(Truth, HasAUserOnceAndForThreeSecondsMore) {
  Truth truth(100);
  truth.subscribe(1, "presence-x", kAnna);
  truth.subscribe(2, "presence-x", kAnna);
  EXPECT_EQ(truth.members("presence-x").size(), 1u);
  EXPECT_EQ(truth.subscriptions("presence-x"), 2u);
  truth.leave(1, kStart);
  truth.settle(kStart + seconds(60));
  EXPECT_EQ(truth.members("presence-x").size(), 1u);
  truth.unsubscribe(2, "presence-x", kStart);
  truth.settle(kStart + Truth::kAbsence - Duration(1));
  EXPECT_EQ(truth.members("presence-x").size(), 1u);
  truth.settle(kStart + Truth::kAbsence);
  EXPECT_TRUE(truth.is_empty());
}

TEST(Truth, GivesThePlaceOfOneWhoIsAwayToANewcomer) {
  Truth truth(1);
  truth.subscribe(1, "presence-x", kAnna);
  truth.subscribe(2, "presence-x", kBob);
  EXPECT_FALSE(truth.is_on(2, "presence-x"));
  truth.leave(1, kStart);
  truth.subscribe(2, "presence-x", kBob);
  EXPECT_TRUE(truth.is_on(2, "presence-x"));
  EXPECT_EQ(truth.members("presence-x").count("anna"), 0u);
}

}  // namespace
}  // namespace holdfast::channel_simulator
