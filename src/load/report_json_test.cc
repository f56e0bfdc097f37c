#include "load/report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "load/example_report.h"
#include "load/report_page.h"

namespace holdfast::load {
namespace {

TEST(ReportJson, ComesBackAsItWasWritten) {
  const std::string text = to_json(example_report());
  const auto report = report_from_json(text);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(to_json(*report), text);
  EXPECT_EQ(report->opening.percentile(99), example_report().opening.percentile(99));
  EXPECT_EQ(report->series.at(3).latency.at(1).times, 3990u);
  EXPECT_EQ(report->verdict.kind, Verdict::Kind::kLost);
}

TEST(ReportJson, AnEmptyReportComesBackToo) {
  const std::string text = to_json(Report());
  const auto report = report_from_json(text);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(to_json(*report), text);
}

TEST(ReportJson, SaysPercentilesForTheEye) {
  const auto json = nlohmann::json::parse(to_json(example_report()));
  EXPECT_EQ(json["opening"]["handshake"]["p50_ns"], 1'500'000);
  EXPECT_EQ(json["messages"]["missing"], 4);
  EXPECT_EQ(json["holding"]["pings"]["per_second_max"], 1200);
  EXPECT_EQ(json["series"]["seconds"][3]["latency_p50_ns"], 4'000'000);
}

TEST(ReportJson, RefusesWhatIsNoReport) {
  for (const char* text :
       {"", "{", "[]", "{}", "3", R"({"holdfast_report": 1})", R"({"holdfast_report": 2})"}) {
    const auto report = report_from_json(text);
    ASSERT_FALSE(report) << text;
    EXPECT_NE(report.error().message.find("report"), std::string::npos) << report.error().message;
  }
}

TEST(ReportJson, RefusesAReportWithAnyFieldOfTheWrongKind) {
  const auto whole = nlohmann::json::parse(to_json(example_report()));
  for (const auto& [name, value] : whole.items()) {
    auto broken = whole;
    broken[name] = nullptr;
    EXPECT_FALSE(report_from_json(broken.dump())) << name;
    broken.erase(name);
    EXPECT_FALSE(report_from_json(broken.dump())) << "without " << name;
  }
}

TEST(ReportJson, RefusesAHistogramThatDoesNotHoldItsCount) {
  auto json = nlohmann::json::parse(to_json(example_report()));
  json["messages"]["latency"]["count"] = 7;
  EXPECT_FALSE(report_from_json(json.dump()));
}

TEST(ReportPage, HoldsTheReportAndCannotBeBrokenOutOf) {
  Report report = example_report();
  report.command_line = "holdfast load '</script><script>alert(1)</script><!--'";
  const std::string html = to_html(
      report, "<script id=\"report\" type=\"application/json\">__HOLDFAST_REPORT__</script>");
  const std::string json =
      html.substr(html.find('>') + 1, html.rfind("</script>") - html.find('>') - 1);
  EXPECT_EQ(json.find('<'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(json)["command_line"], report.command_line);
}

TEST(ReportPage, IsBuiltIntoTheBinaryAndNeedsNothingElse) {
  const std::string html = to_html(example_report());
  EXPECT_NE(html.find("<!doctype html>"), std::string::npos);
  EXPECT_EQ(html.find("__HOLDFAST_REPORT__"), std::string::npos);
  EXPECT_EQ(html.find(" src="), std::string::npos);
  EXPECT_EQ(html.find("<link"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::load
