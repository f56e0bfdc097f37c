#include "load/load_options.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace holdfast::load {
namespace {

const LoadOption& option(std::string_view name) {
  for (const LoadOption& row : load_option_table()) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << "no option " << name;
  return load_option_table().front();
}

std::string refusal(std::string_view name, std::string_view text) {
  LoadOptions options;
  const auto applied = option(name).apply(options, text);
  return applied ? "" : applied.error().message;
}

LoadOptions with(std::string_view name, std::string_view text) {
  LoadOptions options;
  const auto applied = option(name).apply(options, text);
  EXPECT_TRUE(applied) << name << " " << text;
  return options;
}

TEST(LoadOptions, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(with("--connections", "600k").connections, 600'000u);
  EXPECT_EQ(with("--connections", "1,500,000").connections, 1'500'000u);
  EXPECT_EQ(with("--hold", "2m").hold, std::chrono::minutes(2));
  EXPECT_EQ(with("--message-bytes", "1KiB").message_bytes, 1024u);
  EXPECT_EQ(with("--scenario", "slow-reader").scenario, Scenario::kSlowReader);
  EXPECT_EQ(with("--workers", "auto").workers, 0u);
  EXPECT_EQ(with("--slow-share", "25%").slow_share, 0.25);
  EXPECT_EQ(with("--slow-share", "0.25").slow_share, 0.25);
  EXPECT_EQ(with("--leave", "close").leave, Leave::kClose);
  EXPECT_EQ(with("--message-rate", "0.2").message_rate, 0.2);
  EXPECT_TRUE(with("--allow-fewer", "true").allow_fewer);
  EXPECT_EQ(with("--resume", "always").resume, Resume::kAlways);
  EXPECT_EQ(with("--tls", "1.2").tls_versions, protocol::TlsVersions::k12Alone);
}

TEST(LoadOptions, SayWhatWouldBeRight) {
  EXPECT_EQ(refusal("--connections", "0"), "must be 1 to 100,000,000");
  EXPECT_NE(refusal("--hold", "60").find("25s"), std::string::npos);
  EXPECT_NE(refusal("--scenario", "flood").find("half-open"), std::string::npos);
  EXPECT_NE(refusal("--message-bytes", "16").find("32 to 16MiB"), std::string::npos);
  EXPECT_NE(refusal("--message-rate", "-1").find("0 to 1000000"), std::string::npos);
  EXPECT_NE(refusal("--message-rate", "nan").find("number"), std::string::npos);
  EXPECT_NE(refusal("--vanish-share", "150%").find("100%"), std::string::npos);
  EXPECT_NE(refusal("--open-timeout", "1ms").find("10 ms"), std::string::npos);
  EXPECT_NE(refusal("--publish-token", "a b").find("spaces"), std::string::npos);
}

TEST(LoadOptions, OfTlsFitTheUrl) {
  LoadOptions options;
  options.url = "ws://127.0.0.1/";
  options.insecure = true;
  EXPECT_NE(check_options(options).error().message.find("--insecure: for wss://"),
            std::string::npos);
  options.url = "wss://127.0.0.1/";
  EXPECT_TRUE(check_options(options));
  options.ca_file = "ca.pem";
  EXPECT_NE(check_options(options).error().message.find("--cafile 'ca.pem'"), std::string::npos);
  EXPECT_NE(refusal("--server-name", "a b").find("DNS name"), std::string::npos);
}

TEST(LoadOptions, EachOneIsDocumentedAndNamedOnce) {
  std::set<std::string_view> names;
  for (const LoadOption& row : load_option_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.name.starts_with("--")) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_FALSE(row.default_text.empty()) << row.name;
  }
}

TEST(LoadOptions, TheDocumentedDefaultsAreTheRealOnes) {
  const LoadOptions defaults;
  for (const LoadOption& row : load_option_table()) {
    if (row.default_text == "none" || row.default_text == "off") continue;
    LoadOptions options;
    ASSERT_TRUE(row.apply(options, row.default_text)) << row.name;
    EXPECT_EQ(options.connections, defaults.connections) << row.name;
    EXPECT_EQ(options.rate, defaults.rate) << row.name;
    EXPECT_EQ(options.in_flight, defaults.in_flight) << row.name;
    EXPECT_EQ(options.hold, defaults.hold) << row.name;
    EXPECT_EQ(options.open_timeout, defaults.open_timeout) << row.name;
    EXPECT_EQ(options.settle, defaults.settle) << row.name;
    EXPECT_EQ(options.idle_batch, defaults.idle_batch) << row.name;
    EXPECT_EQ(options.workers, defaults.workers) << row.name;
    EXPECT_EQ(options.sources, defaults.sources) << row.name;
    EXPECT_EQ(options.scenario, defaults.scenario) << row.name;
    EXPECT_EQ(options.message_rate, defaults.message_rate) << row.name;
    EXPECT_EQ(options.message_bytes, defaults.message_bytes) << row.name;
    EXPECT_EQ(options.rounds, defaults.rounds) << row.name;
    EXPECT_EQ(options.retry_delay, defaults.retry_delay) << row.name;
    EXPECT_EQ(options.return_timeout, defaults.return_timeout) << row.name;
    EXPECT_EQ(options.slow_share, defaults.slow_share) << row.name;
    EXPECT_EQ(options.vanish_share, defaults.vanish_share) << row.name;
    EXPECT_EQ(options.vanish, defaults.vanish) << row.name;
    EXPECT_EQ(options.leave, defaults.leave) << row.name;
    EXPECT_EQ(options.io, defaults.io) << row.name;
  }
}

TEST(LoadOptions, TheEnvironmentNamesThemInCapitals) {
  EXPECT_EQ(environment_name(option("--message-rate")), "HOLDFAST_LOAD_MESSAGE_RATE");
}

TEST(LoadOptions, MustFitEachOther) {
  LoadOptions options;
  EXPECT_TRUE(check_options(options));
  options.workers = 8;
  options.connections = 4;
  EXPECT_FALSE(check_options(options));
  options = {};
  options.scenario = Scenario::kEcho;
  options.hold = std::chrono::milliseconds(0);
  EXPECT_FALSE(check_options(options));
  options = {};
  options.report = options.html = "out";
  EXPECT_FALSE(check_options(options));
}

}  // namespace
}  // namespace holdfast::load
