#include "commands/apps_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::commands {
namespace {

using testing::HasSubstr;

TEST(AppsFile, ReadsAppsAndLeavesTheRestOfTheFileAlone) {
  const auto apps = parse_apps(R"(
ping-interval = "25s"
[[apps]]
id = 3
key = "k"
secret = "s"
client-events = true
max_connections = 100000
origins = ["https://example.com"]
[[apps]]
id = "b"
key = "k2"
secret = "s2"
)",
                               "holdfast.toml");
  ASSERT_TRUE(apps) << apps.error().message;
  ASSERT_EQ((*apps)->all().size(), 2u);
  const pusher::App& app = *(*apps)->by_key("k");
  EXPECT_EQ(app.id, "3");
  EXPECT_TRUE(app.client_events);
  EXPECT_EQ(app.max_connections, 100'000u);
  EXPECT_EQ(app.origins, std::vector<std::string>{"https://example.com"});
  EXPECT_EQ((*apps)->by_id("b")->secret, "s2");
  EXPECT_TRUE((*parse_apps("", "x"))->all().empty());
}

TEST(AppsFile, ReadsWebhooksWithTheirEvents) {
  const std::string app = "[[apps]]\nid = \"a\"\nkey = \"k\"\nsecret = \"s\"\n";
  const auto apps = parse_apps(
      app +
          R"(webhooks = [{ url = "https://a/" }, { url = "http://b/", events = ["cache_miss"] }])",
      "f");
  ASSERT_TRUE(apps) << apps.error().message;
  const auto& hooks = (*apps)->all()[0].webhooks;
  ASSERT_EQ(hooks.size(), 2u);
  EXPECT_TRUE(hooks[0].wants(pusher::WebhookEvent::kMemberAdded));
  EXPECT_FALSE(hooks[1].wants(pusher::WebhookEvent::kMemberAdded));
  EXPECT_TRUE(hooks[1].wants(pusher::WebhookEvent::kCacheMiss));
  for (const char* bad :
       {"[3]", "[{}]", "[{url=\"ftp://a\"}]", "[{url=\"http://a\",events=[\"x\"]}]"}) {
    EXPECT_FALSE(parse_apps(app + "webhooks = " + bad, "f")) << bad;
  }
}

TEST(AppsFile, ReadsWhichChannelsHaveAHistory) {
  const std::string app = "[[apps]]\nid = \"a\"\nkey = \"k\"\nsecret = \"s\"\n";
  const auto apps = parse_apps(
      app +
          "[[apps.history]]\nprefix = \"chat-\"\nevents = 7\nage = \"60s\"\n"
          "[[apps.history]]\n"
          "[[apps]]\nid = \"b\"\nkey = \"l\"\nsecret = \"s\"\nhistory_bytes_max = 65536\n",
      "f");
  ASSERT_TRUE(apps) << apps.error().message;
  const pusher::App& a = *(*apps)->by_id("a");
  ASSERT_EQ(a.history.size(), 2u);
  EXPECT_EQ(a.history_of("chat-1")->events, 7u);
  EXPECT_EQ(a.history_of("chat-1")->age, std::chrono::seconds(60));
  EXPECT_EQ(a.history_of("news")->events, 100u) << "an empty prefix is all other channels";
  const pusher::App& b = *(*apps)->by_id("b");
  EXPECT_EQ(b.history_of("chat-1"), nullptr) << "opt-in";
  EXPECT_EQ(b.history_bytes_max, 65'536u);
  for (const char* bad : {"3", "[3]", "[{events=0}]", "[{events=10001}]", "[{age=\"0s\"}]",
                          "[{age=60}]", "[{age=\"200h\"}]", "[{prefix=1}]", "[{evnts=1}]"}) {
    const auto wrong = parse_apps(app + "history = " + bad, "f");
    ASSERT_FALSE(wrong) << bad;
    EXPECT_THAT(wrong.error().message, HasSubstr("f:5:1: history of an app wants"));
  }
}

TEST(AppsFile, TellsEveryMistakeWithItsPlace) {
  const auto apps = parse_apps(
      "[[apps]]\nid = \"a\"\nkey = 7\nsecret = \"s\"\nclient_event = true\nmax_connections = -1\n",
      "f");
  ASSERT_FALSE(apps);
  EXPECT_THAT(apps.error().message, HasSubstr("f:3:1: key of an app wants a string"));
  EXPECT_THAT(
      apps.error().message,
      HasSubstr("f:5:1: unknown key 'client_event' of an app; did you mean 'client_events'?"));
  EXPECT_THAT(
      apps.error().message,
      HasSubstr("f:6:1: max_connections of an app wants a whole number of 0 to 1000000000"));
}

TEST(AppsFile, RefusesAppsThatAreIncompleteOrTheSame) {
  EXPECT_THAT(parse_apps("[[apps]]\nid = \"a\"\nkey = \"k\"\n", "f").error().message,
              HasSubstr("number 1 has no secret"));
  EXPECT_THAT(parse_apps("[[apps]]\nid=\"a\"\nkey=\"k\"\nsecret=\"s\"\n[[apps]]\nid=\"b\"\nkey="
                         "\"k\"\nsecret=\"s\"\n",
                         "f")
                  .error()
                  .message,
              HasSubstr("share a key"));
  EXPECT_FALSE(parse_apps("apps = 3", "f"));
  EXPECT_FALSE(parse_apps("[[apps", "f"));
}

}  // namespace
}  // namespace holdfast::commands
