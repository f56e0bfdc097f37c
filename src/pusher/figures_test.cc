#include "pusher/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::pusher {
namespace {

using testing::HasSubstr;

struct Nowhere final : Publisher {
  using Publisher::publish;
  bool publish(std::string_view, MessageKind, Bytes, const PublishOptions&) override {
    return true;
  }
};

class FiguresTest : public testing::Test {
 protected:
  static std::shared_ptr<AppTable> table() {
    App app{.id = "1", .key = "key", .secret = "secret"};
    app.history.push_back({.prefix = "kept", .events = 100});
    app.history_bytes_max = 700;
    return *AppTable::make({app});
  }
  const App& app() { return hub_.apps()->all()[0]; }

  Nowhere nowhere_;
  Hub hub_{table(), nowhere_, nullptr,
           Hub::Clocks{[] { return Instant{std::chrono::seconds(10)}; },
                       [] { return std::int64_t{0}; }, 1}};
};

TEST_F(FiguresTest, TellOfTheHistoryAndOfWhatItDropped) {
  for (int i = 0; i < 5; ++i) hub_.publish_event(app(), "kept", R"({"event":"e"})");
  hub_.publish_event(app(), "news", R"({"event":"e"})");
  const History::Figures history = app().state->history.figures();
  ASSERT_GT(history.evicted, 0u) << "five do not fit";
  ASSERT_EQ(history.events + history.evicted, 5u);
  const std::string text = app_metrics(hub_);
  const auto json = nlohmann::json::parse(app_stats(hub_)).at("apps").at(0);
  for (const auto& [name, value] : {std::pair<std::string, std::uint64_t>("history_channels", 1),
                                    {"history_events", history.events},
                                    {"history_bytes", history.bytes},
                                    {"history_evicted_total", history.evicted}}) {
    EXPECT_THAT(text, HasSubstr("\nholdfast_app_" + name + "{app=\"1\"} " + std::to_string(value)));
    EXPECT_EQ(json.at(name), value) << name;
  }
}

}  // namespace
}  // namespace holdfast::pusher
