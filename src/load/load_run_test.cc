#include "load/load_run.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "load/small_server.h"
#include "load/verdict.h"

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Whole runs over loopback, with real sockets on both sides, in real time. They may share the
// machine with anything, so what depends on its speed is bounded on one side only: a lower bound
// that any machine reaches, or none.
class LoadRunTest : public testing::Test {
 protected:
  LoadRunTest() {
    options_.connections = 40;
    options_.rate = 400;
    options_.hold = milliseconds(1500);
    options_.workers = 2;
  }

  Report run(std::string_view path, int refuse_every = 0) {
    const SmallServer server(refuse_every, patience_, late_);
    options_.url = server.url(path);
    const auto plan = plan_load(options_);
    EXPECT_TRUE(plan) << plan.error().message;
    std::FILE* nowhere = std::fopen("/dev/null", "w");
    Progress progress(nowhere, false, 2);
    auto report = run_load(*plan, progress, interrupted_);
    std::fclose(nowhere);
    EXPECT_TRUE(report) << report.error().message;
    report->verdict = judge(*report);
    return std::move(*report);
  }

  LoadOptions options_;
  Duration patience_ = seconds(20);
  Duration late_ = Duration(0);  // of one publication
  std::atomic<bool> interrupted_{false};
};

TEST_F(LoadRunTest, HoldsIdleConnections) {
  const Report report = run("/");
  EXPECT_NE(report.verdict.kind, Verdict::Kind::kLost) << report.verdict.text;
  EXPECT_EQ(report.held, 40u);
  EXPECT_EQ(report.opening.count(), 40u);
  EXPECT_GE(report.pings.least, 1u);
  EXPECT_GE(report.time_to_open, milliseconds(80));
  EXPECT_FALSE(report.series.empty());
  EXPECT_GT(report.own.resident_bytes_max, 0u);
}

TEST_F(LoadRunTest, KeepsRefusedOnesInTheCount) {
  const Report report = run("/", 4);
  EXPECT_EQ(report.verdict.text, "lost 10 connections");
  EXPECT_EQ(report.refused, (Reasons{{"HTTP 503", 10}}));
  EXPECT_EQ(report.held, 30u);
}

TEST_F(LoadRunTest, EchoesComeBack) {
  options_.scenario = Scenario::kEcho;
  options_.message_rate = 10;
  options_.message_bytes = 1000;
  const Report report = run("/echo");
  EXPECT_NE(report.verdict.kind, Verdict::Kind::kLost) << report.verdict.text;
  EXPECT_GT(report.messages.sent, 100u);
  EXPECT_LE(report.messages.sent, 640u) << "10 a second of each of 40";
  EXPECT_EQ(report.messages.received, report.messages.sent);
  EXPECT_EQ(report.messages.latency.count(), report.messages.sent);
}

TEST_F(LoadRunTest, PublicationsReachEverybody) {
  options_.scenario = Scenario::kFanout;
  options_.message_rate = 20;
  const Report report = run("/topics/x");
  EXPECT_NE(report.verdict.kind, Verdict::Kind::kLost) << report.verdict.text;
  EXPECT_GT(report.messages.sent, 5u);
  EXPECT_LE(report.messages.sent, 34u);
  EXPECT_EQ(report.messages.expected, report.messages.sent * 40);
  EXPECT_EQ(report.messages.received, report.messages.expected);
  EXPECT_EQ(report.messages.publishing.count(), report.messages.sent);
}

// As many would overtake it as would come in its time: 300. It was taken for lost, and for one that
// came twice.
TEST_F(LoadRunTest, OnePublicationThatIsLateIsNotLost) {
  options_.scenario = Scenario::kFanout;
  options_.message_rate = 500;
  late_ = milliseconds(600);
  const Report report = run("/topics/x");
  EXPECT_NE(report.verdict.kind, Verdict::Kind::kLost) << report.verdict.text;
  EXPECT_GT(report.messages.sent, 300u);
  EXPECT_EQ(report.messages.expected, report.messages.sent * 40);
  EXPECT_EQ(report.messages.received, report.messages.expected);
  EXPECT_EQ(report.messages.duplicates, 0u);
  EXPECT_GE(report.messages.reordered, 40u) << "it was overtaken, though";
  EXPECT_GE(report.messages.publishing.most(), milliseconds(600));
}

TEST_F(LoadRunTest, AStormComesBack) {
  options_.scenario = Scenario::kStorm;
  options_.rounds = 2;
  options_.hold = milliseconds(300);
  const Report report = run("/", 7);
  ASSERT_EQ(report.rounds.size(), 2u);
  for (const StormRound& round : report.rounds) {
    EXPECT_EQ(round.dropped, 40u);
    EXPECT_EQ(round.returned, 40u);
    EXPECT_GE(round.refusals, 5u);
    EXPECT_GE(round.time_to_full, options_.retry_delay);
  }
  EXPECT_EQ(report.held, 40u);
  EXPECT_EQ(exit_code_of(report.verdict), 0) << report.verdict.text;
}

TEST_F(LoadRunTest, SeesWhenVanishedPeersAreDropped) {
  options_.scenario = Scenario::kHalfOpen;
  options_.hold = seconds(4);
  patience_ = seconds(1);
  for (const Vanish vanish : {Vanish::kSilent, Vanish::kMute}) {
    options_.vanish = vanish;
    const Report report = run("/");
    EXPECT_EQ(exit_code_of(report.verdict), 0) << report.verdict.text;
    EXPECT_EQ(report.held, 36u);
    EXPECT_EQ(report.odd.opened, 4u);
    EXPECT_EQ(report.odd.dropped, 4u);
    EXPECT_GE(report.odd.dropped_after.least(), milliseconds(850))
        << "a second after its last pong";
  }
}

TEST_F(LoadRunTest, WatchesHonestPeersBesideSlowOnes) {
  options_.scenario = Scenario::kSlowReader;
  options_.slow_share = 0.25;
  options_.message_rate = 50;
  options_.message_bytes = 32 * 1024;
  const Report report = run("/topics/x");
  EXPECT_EQ(exit_code_of(report.verdict), 0) << report.verdict.text;
  EXPECT_EQ(report.held, 30u);
  EXPECT_EQ(report.odd.dropped, 10u);
  EXPECT_EQ(report.messages.received, report.messages.sent * 30);
}

TEST_F(LoadRunTest, EndsEarlyWhenInterrupted) {
  options_.hold = seconds(600);
  std::thread soon([this] {
    std::this_thread::sleep_for(milliseconds(500));
    interrupted_ = true;
  });
  const Report report = run("/");
  soon.join();
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.held, 40u);
  EXPECT_EQ(exit_code_of(report.verdict), 1);
}

TEST_F(LoadRunTest, SaysWhatIsWrongBeforeItStarts) {
  options_.url = "ws://127.0.0.11:9/";
  options_.workers = 0;
  options_.connections = 3'000'000'000;
  const auto plan = plan_load(options_);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("--connections 3,000,000,000"), std::string::npos)
      << plan.error().message;
  options_.connections = 10;
  options_.sources = "192.0.2.0/28";
  const auto foreign = plan_load(options_);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("ip addr add 192.0.2.1/32"), std::string::npos)
      << foreign.error().message;
}

}  // namespace
}  // namespace holdfast::load
