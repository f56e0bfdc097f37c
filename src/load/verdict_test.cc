#include "load/verdict.h"

#include <gtest/gtest.h>

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// All 1,000 opened at the pace asked for, and held.
Report good_run() {
  Report report;
  report.connections = report.opened = report.held = 1000;
  report.rate = 100;
  report.time_to_open = seconds(10);
  report.own.busy_opening = 0.5;
  return report;
}

bool notes_say(const Verdict& verdict, std::string_view text) {
  for (const std::string& note : verdict.notes) {
    if (note.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(Verdict, IsHeldWhenAllWasOpenedAndHeld) {
  const Verdict verdict = judge(good_run());
  EXPECT_EQ(verdict.text, "held");
  EXPECT_TRUE(verdict.notes.empty());
  EXPECT_EQ(exit_code_of(verdict), 0);
}

TEST(Verdict, CountsThoseThatNeverConnectedAsLost) {
  Report report = good_run();
  report.opened = report.held = 990;
  report.refused = {{"HTTP 503", 7}, {"timeout connecting", 3}};
  const Verdict verdict = judge(report);
  EXPECT_EQ(verdict.text, "lost 10 connections");
  EXPECT_TRUE(notes_say(verdict, "refused 10: 7 HTTP 503, 3 timeout connecting"));
  EXPECT_EQ(exit_code_of(verdict), 1);
}

TEST(Verdict, CountsThoseThatWereNeverTriedAsLost) {
  Report report = good_run();
  report.opened = report.held = 999;
  report.never_tried = 1;
  EXPECT_EQ(judge(report).text, "lost 1 connection");
}

TEST(Verdict, CountsThoseThatFellOutWhileHeldAsLost) {
  Report report = good_run();
  report.held = 998;
  report.lost = {{"close 1001", 2}};
  EXPECT_EQ(judge(report).text, "lost 2 connections");
}

TEST(Verdict, IsGeneratorBoundWhenItsOwnWorkersMissedThePace) {
  Report report = good_run();
  report.time_to_open = seconds(20);
  report.own.busy_opening = 0.95;
  const Verdict verdict = judge(report);
  EXPECT_EQ(verdict.text, "generator-bound");
  EXPECT_TRUE(notes_say(verdict, "50 a second of 100 asked"));
  EXPECT_EQ(exit_code_of(verdict), 0);
}

TEST(Verdict, IsNotGeneratorBoundWhenItHadTimeToSpare) {
  Report report = good_run();
  report.time_to_open = seconds(20);
  const Verdict verdict = judge(report);
  EXPECT_EQ(verdict.text, "held");
  EXPECT_TRUE(notes_say(verdict, "the server, or what it shares the machine with"));
}

TEST(Verdict, IsNotGeneratorBoundWithoutAPaceToMiss) {
  Report report = good_run();
  report.rate = 0;
  report.own.busy_opening = 1;
  EXPECT_EQ(judge(report).text, "held");
}

TEST(Verdict, IsGeneratorBoundWhenLatencyIsMostlyItsOwnLateness) {
  Report report = good_run();
  report.messages.sent = report.messages.expected = report.messages.received = 100;
  report.messages.latency.record(milliseconds(30), 100);
  report.messages.lateness.record(milliseconds(10), 100);
  EXPECT_EQ(judge(report).text, "held");
  report.messages.lateness.record(milliseconds(20), 100);
  EXPECT_EQ(judge(report).text, "generator-bound");
}

TEST(Verdict, ForgivesLatenessThatNobodyWouldNotice) {
  Report report = good_run();
  report.messages.sent = report.messages.expected = report.messages.received = 100;
  report.messages.latency.record(milliseconds(1), 100);
  report.messages.lateness.record(milliseconds(1), 100);
  EXPECT_EQ(judge(report).text, "held");
}

TEST(Verdict, IsGeneratorBoundWhenItHadNoTimeLeftToMeasureLatency) {
  Report report = good_run();
  report.messages.sent = report.messages.expected = report.messages.received = 100;
  report.messages.latency.record(milliseconds(30), 100);
  report.own.busy_holding = 0.97;
  EXPECT_EQ(judge(report).text, "generator-bound");
}

TEST(Verdict, ALossIsWorseThanABusyGenerator) {
  Report report = good_run();
  report.held = 999;
  report.time_to_open = seconds(20);
  report.own.busy_opening = 0.95;
  const Verdict verdict = judge(report);
  EXPECT_EQ(verdict.text, "lost 1 connection");
  EXPECT_TRUE(notes_say(verdict, "generator-bound"));
}

TEST(Verdict, CountsMessagesThatDidNotArrive) {
  Report report = good_run();
  report.messages.expected = 5000;
  report.messages.received = 4999;
  EXPECT_EQ(judge(report).text, "lost 1 message of 5,000 expected");
}

TEST(Verdict, CountsPublicationsThatWereRefused) {
  Report report = good_run();
  report.messages.refused = {{"HTTP 403", 12}};
  EXPECT_EQ(judge(report).text, "lost 12 publications");
}

TEST(Verdict, CountsThoseThatDidNotComeBackFromAStorm) {
  Report report = good_run();
  report.rounds = {{1000, 1000, 0, seconds(1)}, {1000, 997, 40, seconds(120)}};
  EXPECT_EQ(judge(report).text, "lost 3 connections that did not come back");
}

TEST(Verdict, ExpectsVanishedPeersToBeDropped) {
  Report report = good_run();
  report.held = 900;
  report.odd.kind = "silent";
  report.odd.asked = report.odd.opened = 100;
  report.odd.dropped = 100;
  EXPECT_EQ(judge(report).text, "held");
  report.odd.dropped = 98;
  const Verdict verdict = judge(report);
  EXPECT_EQ(verdict.text, "lost track: the server still holds 2 peers that vanished");
  EXPECT_EQ(exit_code_of(verdict), 1);
}

TEST(Verdict, LeavesItToTheServerWhetherSlowReadersStay) {
  Report report = good_run();
  report.held = 900;
  report.odd.kind = "slow";
  report.odd.asked = report.odd.opened = 100;
  report.odd.dropped = 50;
  EXPECT_EQ(judge(report).text, "held");
}

TEST(Verdict, DoesNotCallAnInterruptedRunHeld) {
  Report report = good_run();
  report.interrupted = true;
  EXPECT_EQ(exit_code_of(judge(report)), 1);
}

}  // namespace
}  // namespace holdfast::load
