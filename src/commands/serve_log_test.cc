#include "commands/serve_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::commands {
namespace {

nlohmann::json parsed(const std::string& payload) {
  return nlohmann::json::parse("{" + payload + "}");
}

TEST(ServeLog, WritesTextForPeople) {
  EXPECT_EQ(
      log_payload(LogFormat::kText, "ready", {{"listen", "127.0.0.1:8080"}, {"workers", "2"}}),
      "ready listen=127.0.0.1:8080 workers=2");
}

TEST(ServeLog, QuotesTextThatCouldBeTakenForMore) {
  EXPECT_EQ(log_payload(LogFormat::kText, "refused", {{"path", "/a b=c"}, {"why", ""}}),
            R"(refused path="/a b=c" why="")");
}

TEST(ServeLog, LetsNobodyForgeALine) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string payload =
        log_payload(format, "one\ntwo", {{"path", "/\n2026-01-01 info: ready\x1b[2J"}});
    EXPECT_EQ(payload.find('\n'), std::string::npos) << payload;
    EXPECT_EQ(payload.find('\x1b'), std::string::npos) << payload;
  }
}

TEST(ServeLog, WritesJsonThatAParserTakes) {
  const auto line = parsed(log_payload(LogFormat::kJson, "say \"hi\"", {{"key\\", "tab\there"}}));
  EXPECT_EQ(line["message"], "say \"hi\"");
  EXPECT_EQ(line["key\\"], "tab\there");
}

TEST(ServeLog, ReplacesBytesThatAreNoText) {
  const auto line = parsed(log_payload(LogFormat::kJson, "ready",
                                       {{"name",
                                         "a\xff"
                                         "b"}}));
  EXPECT_EQ(line["name"],
            "a\xEF\xBF\xBD"
            "b");
}

}  // namespace
}  // namespace holdfast::commands
