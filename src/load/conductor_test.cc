#include "load/conductor.h"

#include <gtest/gtest.h>

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConductorTest : public testing::Test {
 protected:
  void start(bool traffic = false) { conductor_.emplace(options_, traffic, baton_); }
  // All workers are where the baton is, after so long.
  Phase after(Duration time, bool done, std::uint64_t received = 0) {
    now_ += time;
    LiveSum sum;
    sum.step = baton_.read().number;
    sum.phase_done = done;
    sum.received = received;
    sum.open = open_;
    conductor_->step(now_, sum);
    EXPECT_EQ(conductor_->phase(), baton_.read().phase);
    return conductor_->phase();
  }

  LoadOptions options_;
  std::uint64_t open_ = 1;
  Baton baton_;
  Instant now_{seconds(100)};
  std::optional<Conductor> conductor_;
};

TEST_F(ConductorTest, OpensHoldsAndLeaves) {
  start();
  EXPECT_EQ(after({}, true), Phase::kOpen);
  EXPECT_EQ(after(seconds(500), false), Phase::kOpen);
  EXPECT_EQ(after({}, true), Phase::kHold);
  EXPECT_EQ(after(seconds(59), true), Phase::kHold);
  EXPECT_EQ(after(seconds(1), true), Phase::kLeave);
  EXPECT_EQ(conductor_->hold_ended() - conductor_->hold_began(), seconds(60));
}

TEST_F(ConductorTest, LeavesAtOnceWhereNobodyGotIn) {
  start();
  after({}, true);
  open_ = 0;
  EXPECT_EQ(after({}, true), Phase::kLeave);
}

TEST_F(ConductorTest, WaitsForTheSlowestWorkerToFollow) {
  start();
  EXPECT_EQ(after({}, true), Phase::kOpen);
  LiveSum behind;
  behind.step = 0;
  behind.phase_done = true;
  EXPECT_FALSE(conductor_->step(now_, behind));
}

TEST_F(ConductorTest, WaitsForTheLastMessagesUntilItIsQuiet) {
  start(true);
  after({}, true);
  after({}, true);
  EXPECT_EQ(after(seconds(60), true, 10), Phase::kSettle);
  EXPECT_EQ(after(milliseconds(900), true, 11), Phase::kSettle);
  EXPECT_EQ(after(milliseconds(900), true, 12), Phase::kSettle);
  EXPECT_EQ(after(milliseconds(1000), true, 12), Phase::kLeave);
}

TEST_F(ConductorTest, WaitsForMessagesNoLongerThanToldTo) {
  start(true);
  after({}, true);
  after({}, true);
  after(seconds(60), true, 10);
  EXPECT_EQ(after(milliseconds(4900), false, 20), Phase::kSettle);
  EXPECT_EQ(after(milliseconds(100), false, 30), Phase::kLeave);
}

TEST_F(ConductorTest, AStormDropsAndReturnsAsOftenAsAsked) {
  options_.scenario = Scenario::kStorm;
  options_.rounds = 2;
  start();
  after({}, true);
  EXPECT_EQ(after(seconds(1), true), Phase::kHold);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(after(seconds(2), true), Phase::kDrop);
    EXPECT_EQ(after(milliseconds(5), true), Phase::kOpen);
    EXPECT_EQ(after(milliseconds(700), false), Phase::kOpen);
    EXPECT_EQ(after(milliseconds(300), true), Phase::kHold);
  }
  EXPECT_EQ(after(seconds(59), true), Phase::kHold);
  EXPECT_EQ(after(seconds(1), true), Phase::kLeave);
  EXPECT_EQ(conductor_->times_to_full(), (std::vector<Duration>{seconds(1), seconds(1)}));
}

TEST_F(ConductorTest, AStormThatNeverReturnsIsGivenUp) {
  options_.scenario = Scenario::kStorm;
  options_.rounds = 1;
  start();
  after({}, true);
  after({}, true);
  after(seconds(2), true);
  after({}, true);
  EXPECT_EQ(after(seconds(119), false), Phase::kOpen);
  EXPECT_EQ(after(seconds(1), false), Phase::kHold);
}

TEST_F(ConductorTest, AStormsFirstOpeningHasTheTimeItsPaceTakes) {
  options_.scenario = Scenario::kStorm;
  options_.connections = 1'000'000;
  start();
  after({}, true);
  EXPECT_EQ(after(seconds(219), false), Phase::kOpen);
  EXPECT_EQ(after(seconds(1), false), Phase::kHold);
}

TEST_F(ConductorTest, LeavesAtOnceWhenInterrupted) {
  start();
  after({}, true);
  conductor_->interrupt(now_);
  EXPECT_EQ(baton_.read().phase, Phase::kLeave);
  EXPECT_TRUE(conductor_->interrupted());
  EXPECT_EQ(after(seconds(100), true), Phase::kLeave);
}

}  // namespace
}  // namespace holdfast::load
