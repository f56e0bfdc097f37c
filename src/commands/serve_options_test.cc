#include "commands/serve_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "commands/options_file.h"
#include "commands/serve_options_text.h"
#include "server/option_bounds.h"

namespace holdfast::commands {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// A file that is there as long as the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text)
      : path_((std::filesystem::temp_directory_path() /
               ("holdfast-options-" + std::to_string(::getpid()) + "-" +
                std::to_string(counter_++) + ".toml"))
                  .string()) {
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  static inline int counter_ = 0;
  std::string path_;
};

ServeInputs command_line(std::string name, std::string value) {
  ServeInputs inputs;
  inputs.command_line[std::move(name)] = {std::move(value)};
  return inputs;
}

ServeSettings settings_of(const ServeInputs& inputs) {
  const auto configuration = resolve_serve_options(inputs);
  EXPECT_TRUE(configuration) << configuration.error().message;
  return configuration ? configuration->settings : ServeSettings{};
}

std::string error_of(const ServeInputs& inputs) {
  const auto configuration = resolve_serve_options(inputs);
  EXPECT_FALSE(configuration);
  return configuration ? "" : configuration.error().message;
}

std::string file_error(std::string_view text) {
  const auto values = parse_options_file(text, "holdfast.toml");
  if (!values) return values.error().message;
  return values->problems.empty() ? "" : values->problems.front();
}

TEST(ServeOptions, TheTableHasARowForEveryFieldOfOptions) {
  std::ifstream header(HOLDFAST_OPTIONS_HEADER);
  ASSERT_TRUE(header);
  const std::regex field(
      R"(^  (?:std::\S+|bool|Milliseconds|IoChoice|QueueFullPolicy|[A-Z]\w+) (\w+)(?: = |\{|;))");
  std::set<std::string> names;
  for (std::string line; std::getline(header, line);) {
    std::smatch match;
    if (std::regex_search(line, match, field)) names.insert(match[1]);
  }
  EXPECT_GE(names.size(), 23u);
  for (const std::string& name : names)
    EXPECT_NE(find_serve_option(name), nullptr) << name << " has no row";
}

TEST(ServeOptions, EveryDefaultLiesWithinItsBoundsAndIsReadBackUnchanged) {
  const ServeSettings defaults;
  for (const OptionRow& row : serve_option_table()) {
    ServeSettings settings;
    const auto texts = option_texts(row, defaults);
    const auto read = read_option(row, texts, settings);
    EXPECT_TRUE(read) << row.name << ": " << read.error().message;
    EXPECT_EQ(option_texts(row, settings), texts) << row.name;
  }
}

TEST(ServeOptions, EveryBoundHasAReason) {
  for (const OptionRow& row : serve_option_table()) {
    EXPECT_EQ(bounds_text(row).empty(), row.reason.empty()) << row.name;
    EXPECT_FALSE(row.help.empty()) << row.name;
  }
}

TEST(ServeOptions, BothBoundsAreInsideAndTheirNeighboursOutside) {
  for (const OptionRow& row : serve_option_table()) {
    const auto* quantity = std::get_if<Quantity>(&row.kind);
    if (quantity == nullptr) continue;
    const std::string unit = quantity->unit == Unit::kDuration ? "ms" : "";
    ServeSettings settings;
    const auto takes = [&](std::uint64_t value) {
      return read_option(row, {std::to_string(value) + unit}, settings).has_value();
    };
    EXPECT_TRUE(takes(quantity->least)) << row.name;
    EXPECT_TRUE(takes(quantity->most)) << row.name;
    EXPECT_FALSE(takes(quantity->most + 1)) << row.name;
    if (quantity->least > 1) {
      EXPECT_FALSE(takes(quantity->least - 1)) << row.name;
    }
    EXPECT_EQ(takes(0), quantity->least == 0 || !quantity->zero_word.empty()) << row.name;
  }
}

TEST(ServeOptions, ReadsEachKindOfValue) {
  EXPECT_THAT(settings_of(command_line("listen", "127.0.0.7:0,127.0.0.7:9000")).listen,
              ElementsAre("127.0.0.7:0", "127.0.0.7:9000"));
  EXPECT_EQ(settings_of(command_line("admin", "off")).admin, "off");
  EXPECT_EQ(settings_of(command_line("connections-max", "600k")).connections_max, 600'000u);
  EXPECT_EQ(settings_of(command_line("connections-max", "auto")).connections_max, 0u);
  EXPECT_EQ(settings_of(command_line("message-bytes-max", "2MiB")).message_bytes_max, 2u << 20);
  EXPECT_EQ(settings_of(command_line("ping-interval", "1.5m")).ping_interval, 90s);
  EXPECT_EQ(settings_of(command_line("ping-interval", "off")).ping_interval, 0s);
  EXPECT_EQ(settings_of(command_line("ping-interval", "0")).ping_interval, 0s);
  EXPECT_EQ(settings_of(command_line("high-water-percent", "75%")).high_water_percent, 75u);
  EXPECT_TRUE(settings_of(command_line("allow-fewer", "true")).allow_fewer);
  EXPECT_EQ(settings_of(command_line("io", "epoll")).io, IoChoice::kEpoll);
  EXPECT_EQ(settings_of(command_line("queue-full", "drop-oldest")).queue_full,
            QueueFullPolicy::kDropOldest);
  EXPECT_EQ(settings_of(command_line("publish-token", "s3cret")).publish_token, "s3cret");
  EXPECT_EQ(settings_of(command_line("log-level", "error")).log_level, LogLevel::kError);
  EXPECT_EQ(settings_of(command_line("log-format", "json")).log_format, LogFormat::kJson);
}

TEST(ServeOptions, PresetsPingWithinHalfOfTheBalancersPatience) {
  const std::map<std::string, std::chrono::seconds> patience = {
      {"aws-alb", 60s}, {"aws-nlb", 350s}, {"cloudflare", 100s}, {"nginx", 60s}, {"haproxy", 50s}};
  for (const auto& [preset, idle_timeout] : patience) {
    const auto interval = settings_of(command_line("ping-interval", preset)).ping_interval;
    EXPECT_LE(interval * 2, idle_timeout) << preset;
    EXPECT_GE(interval * 4, idle_timeout) << preset;
  }
}

TEST(ServeOptions, WhatStandsInFrontGivesTheIntervalOfItsName) {
  for (const auto& [balancer, interval] : {std::pair("aws-alb", 25s),
                                           {"aws-nlb", 150s},
                                           {"cloudflare", 45s},
                                           {"nginx", 25s},
                                           {"haproxy", 20s}}) {
    const auto read = resolve_serve_options(command_line("behind", balancer));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->settings.ping_interval, interval) << balancer;
    EXPECT_THAT(read->warnings, ::testing::IsEmpty());
    EXPECT_THAT(configuration_toml(*read),
                ::testing::ContainsRegex("ping-interval = .*# command line: --behind"));
    // The preset is no more than the interval of that name.
    EXPECT_EQ(settings_of(command_line("ping-interval", balancer)).ping_interval, interval);
  }
  EXPECT_EQ(settings_of(command_line("behind", "none")).ping_interval, Options{}.ping_interval);
}

TEST(ServeOptions, AnIntervalThatWasSetStandsAndIsWarnedOfWhereItIsTooLong) {
  ServeInputs inputs = command_line("behind", "nginx");
  inputs.command_line["ping-interval"] = {"30s"};
  auto read = resolve_serve_options(inputs);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->settings.ping_interval, 30s);
  EXPECT_THAT(read->warnings, ::testing::IsEmpty()) << "half of 60 s is early enough";
  for (const char* interval : {"31s", "off"}) {
    inputs.command_line["ping-interval"] = {interval};
    read = resolve_serve_options(inputs);
    ASSERT_TRUE(read);
    EXPECT_THAT(read->warnings,
                ElementsAre(AllOf(HasSubstr(interval), HasSubstr("nginx"), HasSubstr("60 s"))));
  }
}

TEST(ServeOptions, WarnsOfALimitPerAddressThatCountsTheBalancer) {
  ServeInputs inputs = command_line("behind", "haproxy");
  inputs.command_line["connections-per-ip-max"] = {"5"};
  EXPECT_THAT(resolve_serve_options(inputs)->warnings, ElementsAre(HasSubstr("as one address")));
  inputs.command_line["trusted-proxies"] = {"10.0.0.0/8"};
  EXPECT_THAT(resolve_serve_options(inputs)->warnings, ::testing::IsEmpty());
  inputs.command_line.erase("trusted-proxies");
  inputs.command_line["listen"] = {"127.0.0.1:0,proxy=v2"};
  EXPECT_THAT(resolve_serve_options(inputs)->warnings, ::testing::IsEmpty());
}

TEST(ServeOptions, ABalancerThatIsNotKnownIsRefusedWithThoseThatAre) {
  EXPECT_THAT(error_of(command_line("behind", "envoy")),
              AllOf(HasSubstr("--behind"), HasSubstr("'envoy'"),
                    HasSubstr("none, aws-alb, aws-nlb, cloudflare, nginx, haproxy")));
}

TEST(ServeOptions, TheCommandLineWinsOverTheEnvironmentAndThatOverTheFile) {
  const TemporaryFile file("workers = 2\nbacklog = 20\npong-timeout = \"2s\"\n");
  ServeInputs inputs;
  inputs.config_path = file.path();
  inputs.environment = {{"HOLDFAST_WORKERS", "3"}, {"HOLDFAST_BACKLOG", "30"}};
  inputs.command_line["workers"] = {"4"};
  const auto configuration = resolve_serve_options(inputs);
  ASSERT_TRUE(configuration) << configuration.error().message;
  EXPECT_EQ(configuration->settings.workers, 4u);
  EXPECT_EQ(configuration->settings.backlog, 30u);
  EXPECT_EQ(configuration->settings.pong_timeout, 2s);
  EXPECT_EQ(configuration->settings.ping_interval, 25s);

  const auto origin = [&](std::string_view name) {
    return configuration
        ->origins[static_cast<std::size_t>(find_serve_option(name) - serve_option_table().data())];
  };
  EXPECT_EQ(origin("workers").place, "--workers");
  EXPECT_EQ(origin("backlog").place, "HOLDFAST_BACKLOG");
  EXPECT_EQ(origin("pong-timeout").place, file.path() + ":3:1");
  EXPECT_EQ(origin("ping-interval").source, Source::kDefault);
}

TEST(ServeOptions, FindsTheFileThroughTheEnvironment) {
  const TemporaryFile file("workers = 7\n");
  ServeInputs inputs;
  inputs.environment = {{"HOLDFAST_CONFIG", file.path()}};
  EXPECT_EQ(settings_of(inputs).workers, 7u);
}

TEST(ServeOptions, AnEmptyVariableCountsAsNotGiven) {
  ServeInputs inputs;
  inputs.environment = {{"HOLDFAST_WORKERS", ""}};
  EXPECT_EQ(settings_of(inputs).workers, 0u);
}

TEST(ServeOptions, AnErrorNamesOptionValuePlaceBoundsAndReason) {
  EXPECT_THAT(
      error_of(command_line("ping-interval", "5ms")),
      AllOf(HasSubstr("--ping-interval (command line)"), HasSubstr("'5ms'"),
            HasSubstr("100ms to 1h"), HasSubstr("below 100 ms pings would be most of the work")));
  ServeInputs inputs;
  inputs.environment = {{"HOLDFAST_HIGH_WATER_PERCENT", "150"}};
  EXPECT_THAT(error_of(inputs), AllOf(HasSubstr("HOLDFAST_HIGH_WATER_PERCENT (environment)"),
                                      HasSubstr("'150'"), HasSubstr("1 to 100")));
}

TEST(ServeOptions, AnErrorTellsEverythingThatIsWrongAtOnce) {
  const TemporaryFile file("workers = 5000\npign-interval = \"25s\"\n");
  ServeInputs inputs = command_line("io", "kqueue");
  inputs.config_path = file.path();
  EXPECT_THAT(
      error_of(inputs),
      AllOf(HasSubstr(file.path() + ":1:1: workers: '5000' is out of bounds"),
            HasSubstr(file.path() +
                      ":2:1: unknown key 'pign-interval'; did you mean 'ping-interval'?"),
            HasSubstr(
                "--io (command line): 'kqueue' is not known; give one of: auto, uring, epoll")));
}

TEST(ServeOptions, AValueThatIsOverruledIsCheckedAllTheSame) {
  ServeInputs inputs = command_line("workers", "2");
  inputs.environment = {{"HOLDFAST_WORKERS", "many"}};
  EXPECT_THAT(error_of(inputs), HasSubstr("HOLDFAST_WORKERS"));
}

TEST(ServeOptions, AnOptionIsGivenOnceUnlessItTakesMany) {
  ServeInputs inputs;
  inputs.command_line["workers"] = {"1", "2"};
  EXPECT_THAT(error_of(inputs), HasSubstr("given 2 times"));
  inputs.command_line.clear();
  inputs.command_line["listen"] = {"127.0.0.7:1", "127.0.0.7:2"};
  EXPECT_THAT(settings_of(inputs).listen, ElementsAre("127.0.0.7:1", "127.0.0.7:2"));
}

TEST(ServeOptions, NoAddressIsListenedOnTwice) {
  EXPECT_THAT(error_of(command_line("listen", "127.0.0.7:1,127.0.0.7:1")),
              HasSubstr("given twice"));
  EXPECT_THAT(settings_of(command_line("listen", "127.0.0.7:0,127.0.0.7:0")).listen.size(), 2u);
  ServeInputs inputs = command_line("listen", "127.0.0.7:1");
  inputs.command_line["admin"] = {"127.0.0.7:1"};
  EXPECT_THAT(error_of(inputs), HasSubstr("listen and admin both name 127.0.0.7:1"));
}

TEST(ServeOptions, ABadAddressIsShown) {
  EXPECT_THAT(error_of(command_line("listen", "127.0.0.1:99999")), HasSubstr("127.0.0.1:99999"));
  EXPECT_THAT(error_of(command_line("listen", "")), HasSubstr("--listen"));
  EXPECT_THAT(error_of(command_line("admin", "on")), AllOf(HasSubstr("'on'"), HasSubstr("or off")));
}

TEST(ServeOptions, ANumberThatIsNoneShowsARightOne) {
  EXPECT_THAT(error_of(command_line("workers", "many")),
              AllOf(HasSubstr("'many'"), HasSubstr("or auto")));
  EXPECT_THAT(error_of(command_line("ping-interval", "25")),
              AllOf(HasSubstr("'25'"), HasSubstr("25s"), HasSubstr("aws-alb")));
  EXPECT_THAT(error_of(command_line("backlog", "-1")), HasSubstr("'-1'"));
  EXPECT_THAT(error_of(command_line("connections-max", "99999999999999999999")),
              HasSubstr("99999999999999999999"));
}

TEST(ServeOptions, ATokenIsNeverShown) {
  EXPECT_THAT(error_of(command_line("publish-token", "top secret")),
              testing::Not(HasSubstr("top secret")));
  const auto configuration = resolve_serve_options(command_line("publish-token", "s3cret"));
  ASSERT_TRUE(configuration);
  EXPECT_THAT(configuration_toml(*configuration),
              AllOf(testing::Not(HasSubstr("s3cret")), HasSubstr("publish-token is set")));
}

TEST(ServeOptions, WarnsOfASlipInTheEnvironmentAndLetsStrangersBe) {
  ServeInputs inputs;
  inputs.environment = {{"HOLDFAST_PING_INTERVALL", "5s"},
                        {"HOLDFAST_PORT_80_TCP_ADDR", "10.0.0.1"},
                        {"PATH", "/bin"}};
  const auto configuration = resolve_serve_options(inputs);
  ASSERT_TRUE(configuration);
  EXPECT_THAT(configuration->warnings,
              ElementsAre(HasSubstr("did you mean HOLDFAST_PING_INTERVAL?")));
}

TEST(ServeOptions, WarnsWhenAMessageDoesNotFitIntoItsQueue) {
  ServeInputs inputs = command_line("message-bytes-max", "2MiB");
  const auto configuration = resolve_serve_options(inputs);
  ASSERT_TRUE(configuration);
  EXPECT_THAT(configuration->warnings, ElementsAre(HasSubstr("queue-bytes-max is less")));
}

TEST(OptionsFile, TakesKeysWithDashesOrUnderscoresAndEveryType) {
  const auto values = parse_options_file(
      "listen = [\"127.0.0.7:1\", \"127.0.0.7:2\"]\nping_interval = \"5s\"\nworkers = "
      "3\nallow-fewer = true\n",
      "holdfast.toml");
  ASSERT_TRUE(values);
  EXPECT_TRUE(values->problems.empty());
  std::map<std::string, std::vector<std::string>> texts;
  for (const FileValue& value : values->values) texts[value.name] = value.texts;
  EXPECT_THAT(texts["listen"], ElementsAre("127.0.0.7:1", "127.0.0.7:2"));
  EXPECT_THAT(texts["ping-interval"], ElementsAre("5s"));
  EXPECT_THAT(texts["workers"], ElementsAre("3"));
  EXPECT_THAT(texts["allow-fewer"], ElementsAre("true"));
}

TEST(OptionsFile, SaysWhereTheTextStopsBeingToml) {
  EXPECT_THAT(file_error("workers = 2\nlisten = [\"127.0.0.7:1\"\nbacklog = 5\n"),
              testing::StartsWith("holdfast.toml:3:"));
}

TEST(OptionsFile, RefusesWhatIsNoOption) {
  EXPECT_EQ(file_error("\nworker = 2\n"),
            "holdfast.toml:2:1: unknown key 'worker'; did you mean 'workers'?");
  EXPECT_THAT(file_error("certificate = \"x\"\n"),
              HasSubstr("holdfast.toml:1:1: unknown key 'certificate'; `holdfast serve --help`"));
  EXPECT_THAT(file_error("[server]\nworkers = 2\n"), HasSubstr("'server' is a table"));
  EXPECT_THAT(file_error("ping-interval = \"5s\"\nping_interval = \"6s\"\n"),
              HasSubstr("holdfast.toml:2:1: ping-interval is already given at holdfast.toml:1:1"));
}

TEST(OptionsFile, RefusesValuesOfAWrongType) {
  EXPECT_THAT(file_error("workers = [1, 2]\n"),
              HasSubstr("workers wants a string or a whole number, not this array"));
  EXPECT_THAT(file_error("ping-interval = 1.5\n"), HasSubstr("not this floating-point"));
  EXPECT_THAT(file_error("allow-fewer = 2026-01-01\n"),
              HasSubstr("allow-fewer wants true or false"));
}

TEST(OptionsFile, AnEmptyFileSaysNothing) {
  const TemporaryFile file("");
  const auto values = read_options_file(file.path());
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_TRUE(values->values.empty());
}

TEST(OptionsFile, AFileThatCannotBeReadIsNamed) {
  EXPECT_THAT(read_options_file("/nonexistent/holdfast.toml").error().message,
              AllOf(HasSubstr("/nonexistent/holdfast.toml"), HasSubstr("No such file")));
  EXPECT_THAT(read_options_file("/").error().message, HasSubstr("Is a directory"));
}

TEST(ServeOptionsText, ThePrintedConfigurationIsReadBackUnchanged) {
  ServeInputs inputs = command_line("ping-interval", "1500ms");
  inputs.command_line["listen"] = {"127.0.0.7:0,[::1]:0"};
  inputs.command_line["queue-full"] = {"drop-oldest"};
  inputs.command_line["connections-per-ip-max"] = {"100"};
  const auto first = resolve_serve_options(inputs);
  ASSERT_TRUE(first) << first.error().message;
  const std::string printed = configuration_toml(*first);
  EXPECT_THAT(printed, HasSubstr("# command line: --ping-interval\n"));

  const TemporaryFile file(printed);
  ServeInputs again;
  again.config_path = file.path();
  const auto second = resolve_serve_options(again);
  ASSERT_TRUE(second) << second.error().message;
  for (const OptionRow& row : serve_option_table()) {
    EXPECT_EQ(option_texts(row, first->settings), option_texts(row, second->settings)) << row.name;
  }
}

TEST(ServeOptionsText, HelpAndDocumentationNameEveryOption) {
  const std::string help = serve_help();
  const std::string markdown = serve_options_markdown();
  for (const OptionRow& row : serve_option_table()) {
    EXPECT_THAT(help, HasSubstr("--" + std::string(row.name))) << row.name;
    EXPECT_THAT(markdown,
                AllOf(HasSubstr("--" + std::string(row.name)), HasSubstr(environment_name(row))))
        << row.name;
  }
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
}

// What the library checks for programs that were not read off this table.
TEST(ServeOptions, HaveTheBoundsThatTheLibraryChecks) {
  std::size_t numbers = 0;
  for (const OptionRow& row : serve_option_table()) {
    const auto* quantity = std::get_if<Quantity>(&row.kind);
    if (quantity == nullptr) continue;
    ++numbers;
    SCOPED_TRACE(row.name);
    std::string name(row.name);
    std::replace(name.begin(), name.end(), '-', '_');
    const auto all = server::option_bounds();
    const auto bounds =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
    ASSERT_NE(bounds, all.end());
    EXPECT_EQ(bounds->least, quantity->least);
    EXPECT_EQ(bounds->most, quantity->most);
    EXPECT_EQ(bounds->or_zero, !quantity->zero_word.empty());
  }
  EXPECT_EQ(numbers, server::option_bounds().size());
}

}  // namespace
}  // namespace holdfast::commands
