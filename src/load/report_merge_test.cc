#include "load/report_merge.h"

#include <gtest/gtest.h>

#include <vector>

#include "load/example_report.h"
#include "load/report_text.h"

namespace holdfast::load {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::int64_t kBegan = 1'800'000'000;

Report merged(std::vector<Report> reports) {
  auto result = merge_reports(reports);
  EXPECT_TRUE(result) << result.error().message;
  return std::move(*result);
}

TEST(ReportMerge, AddsCounts) {
  const Report sum = merged({example_report("a"), example_report("b")});
  EXPECT_EQ(sum.connections, 2000u);
  EXPECT_EQ(sum.opened, 1998u);
  EXPECT_EQ(sum.refused.at("HTTP 503"), 2u);
  EXPECT_EQ(sum.messages.received, 11'980u);
  EXPECT_EQ(sum.odd.opened, 18u);
  EXPECT_EQ(sum.rate, 1000u);
  EXPECT_EQ(sum.pings.connections, 1996u);
  EXPECT_EQ(sum.rounds.at(0).returned, 1998u);
  EXPECT_EQ(sum.time_to_open, seconds(2));
}

TEST(ReportMerge, TheHistogramOfTwoIsThatOfTheirUnion) {
  Report a = example_report("a");
  Report b = example_report("b");
  a.opening = b.opening = Histogram();
  Histogram all;
  for (int i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? a : b).opening.record(microseconds(i * i));
    all.record(microseconds(i * i));
  }
  const Report sum = merged({a, b});
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    EXPECT_EQ(sum.opening.percentile(percent), all.percentile(percent)) << percent;
  }
  EXPECT_EQ(sum.opening.count(), 1000u);
}

TEST(ReportMerge, AlignsTheSeriesByTheWallClock) {
  const Report sum = merged({example_report("a", kBegan), example_report("b", kBegan - 1)});
  EXPECT_EQ(sum.series_start, kBegan - 1);
  ASSERT_EQ(sum.series.size(), 5u);
  EXPECT_EQ(sum.series[0].opened, 500u);
  EXPECT_EQ(sum.series[1].opened, 500u + 499u);
  EXPECT_EQ(sum.series[3].pings, 700u + 1200u);
  EXPECT_EQ(sum.series[4].pings, 1200u);
}

TEST(ReportMerge, AddsTheLatenciesOfASecond) {
  const Report sum = merged({example_report("a", kBegan), example_report("b", kBegan - 1)});
  const auto& latency = sum.series[3].latency;
  ASSERT_EQ(latency.size(), 2u);
  EXPECT_EQ(latency[0].times, 2u);
  EXPECT_EQ(latency[1].times, 1998u + 3990u);
}

TEST(ReportMerge, ComparesPingsOnlyWhereAllWereHolding) {
  const Report sum = merged({example_report("a", kBegan), example_report("b", kBegan - 1)});
  EXPECT_EQ(sum.pings.first_whole_second, kBegan + 2);
  EXPECT_EQ(sum.pings.whole_seconds, 1u);
  EXPECT_EQ(sum.pings.in_whole_seconds, 1900u);
  EXPECT_EQ(sum.pings.most_in_a_second, 1900u);
}

TEST(ReportMerge, CountsTheCpusOfAMachineOnce) {
  EXPECT_EQ(merged({example_report("a"), example_report("a")}).own.cpus, 4u);
  EXPECT_EQ(merged({example_report("a"), example_report("b")}).own.cpus, 8u);
}

TEST(ReportMerge, TheWorstVerdictWins) {
  Report held = example_report("a");
  held.connections = held.opened = held.held = 1000;
  held.messages = {};
  held.rounds.clear();
  held.odd = {};
  held.verdict = {Verdict::Kind::kHeld, "held", {}};
  EXPECT_EQ(merged({held, held}).verdict.text, "held");
  Report bound = held;
  bound.machines.front().host = "b";
  bound.verdict = {
      Verdict::Kind::kGeneratorBound, "generator-bound", {"generator-bound: it was slow"}};
  const Report sum = merged({held, bound});
  EXPECT_EQ(sum.verdict.text, "generator-bound");
  ASSERT_FALSE(sum.verdict.notes.empty());
  EXPECT_EQ(sum.verdict.notes.back(), "b: generator-bound: it was slow");
  Report lost = held;
  lost.held = 990;
  lost.verdict = {Verdict::Kind::kLost, "lost 10 connections", {}};
  EXPECT_EQ(merged({lost, bound, lost}).verdict.text, "lost 20 connections");
}

TEST(ReportMerge, LeavesASingleReportAsItIs) {
  EXPECT_EQ(merged({example_report()}).verdict.text, "lost 2 connections");
  EXPECT_EQ(merged({example_report()}).verdict.notes.size(), 2u);
}

TEST(ReportMerge, RefusesWhatDoesNotBelongTogether) {
  Report other = example_report();
  other.scenario = "echo";
  EXPECT_FALSE(merge_reports(std::vector{example_report(), other}));
  EXPECT_FALSE(merge_reports(
      std::vector{example_report("a", kBegan), example_report("b", kBegan + 100'000)}));
}

TEST(ReportText, SaysWhatWasFound) {
  const std::string text = to_text(example_report());
  for (const char* part :
       {"lost 2 connections", "999 of 1,000 in 2 s", "1  HTTP 503", "1  close 1001",
        "1.26 of the mean", "5,990 of 5,994 received, 4 missing", "9 opened, 8 dropped",
        "storm 1"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

}  // namespace
}  // namespace holdfast::load
