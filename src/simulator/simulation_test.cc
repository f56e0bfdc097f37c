#include "simulator/simulation.h"

#include <gtest/gtest.h>

#include "simulator/message.h"

namespace holdfast::simulator {
namespace {

TEST(Simulation, IsTheSameRunForTheSameSeed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome first = Simulation(seed).run();
    const Outcome second = Simulation(seed).run();
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

TEST(Simulation, IsAnotherRunForAnotherSeed) {
  EXPECT_NE(Simulation(1).run().hash, Simulation(2).run().hash);
}

TEST(Simulation, KeepsEveryInvariantForTheFirstSeeds) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Outcome outcome = Simulation(seed).run();
    ASSERT_EQ(outcome.failure, "") << "seed " << seed << '\n' << outcome.last_events;
  }
}

TEST(Trace, KeepsTheFirstFailureAndTheLastEvents) {
  Trace trace(false);
  for (int i = 0; i < 1'000; ++i)
    trace.note(Instant(std::chrono::milliseconds(i)), What::kArrive, 0, i, i);
  trace.fail("first");
  trace.fail("second");
  EXPECT_EQ(trace.failure(), "first");
  EXPECT_NE(trace.last().find("peer 999"), std::string::npos);
  EXPECT_EQ(trace.last().find("peer 700"), std::string::npos);
}

TEST(Message, IsMadeAgainFromItsName) {
  EXPECT_EQ(make_message('#', 7, 3, 100, true), make_message('#', 7, 3, 100, true));
  EXPECT_NE(make_message('#', 7, 3, 100, true), make_message('#', 7, 4, 100, true));
  EXPECT_EQ(publication_number(make_publication_text(1'234, 50)), 1'234);
  EXPECT_EQ(publication_number("#1.2:abc"), -1);
}

}  // namespace
}  // namespace holdfast::simulator
