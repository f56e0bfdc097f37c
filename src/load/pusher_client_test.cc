#include "load/pusher_client.h"

#include <gtest/gtest.h>

#include "pusher/client_message.h"
#include "pusher/server_message.h"

namespace holdfast::load {
namespace {

TEST(PusherClient, UnderstandsWhatTheServerSays) {
  EXPECT_EQ(pusher_word(pusher::connection_established("1.2", 120)), PusherWord::kEstablished);
  EXPECT_EQ(
      pusher_word(pusher::channel_message("pusher_internal:subscription_succeeded", "a", "{}")),
      PusherWord::kSubscribed);
  EXPECT_EQ(pusher_word(pusher::error_message(4001, "no such app")), PusherWord::kRefused);
  EXPECT_EQ(pusher_word(pusher::subscription_error("a", "AuthError", "no", 401)),
            PusherWord::kRefused);
  EXPECT_EQ(pusher_word(pusher::kPongMessage), PusherWord::kPong);
  const std::string event = pusher::published_event("load", "a", "abc");
  EXPECT_EQ(pusher_word(event), PusherWord::kEvent);
  EXPECT_EQ(pusher_data(event), "abc");
  EXPECT_FALSE(pusher_data(pusher::cache_miss("a")));
}

TEST(PusherClient, JoinsWithTheSignatureOfTheSpecification) {
  const PusherApp app = *PusherApp::parse("3:278d425bdf160c739803:7ad3773142a6692b25b8");
  const std::string established = pusher::connection_established("1234.1234", 120);
  EXPECT_EQ(pusher_socket_id(established), "1234.1234");
  EXPECT_EQ(pusher_socket_id("{}"), "");
  EXPECT_EQ(pusher_channel(ChannelKind::kPresence, 25, 10), "presence-load-5");
  EXPECT_EQ(pusher_subscribe(app, ChannelKind::kPublic, "a", "1.1", 7),
            R"({"event":"pusher:subscribe","data":{"channel":"a"}})");
  const std::string joined =
      pusher_subscribe(app, ChannelKind::kPrivate, "private-foobar", "1234.1234", 7);
  EXPECT_EQ(
      joined,
      R"({"event":"pusher:subscribe","data":{"channel":"private-foobar","auth":)"
      R"("278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"}})");
  const auto message = pusher::parse_client_message(
      pusher_subscribe(app, ChannelKind::kPresence, "presence-a", "1.1", 7));
  ASSERT_TRUE(message);
  EXPECT_EQ(pusher::parse_channel_data(*message->fields()->channel_data)->id, "user-7");
}

TEST(PusherClient, PublishesWithTheSignatureOfTheSpecification) {
  const PusherApp app = *PusherApp::parse("3:278d425bdf160c739803:7ad3773142a6692b25b8");
  const std::string request = pusher_publish(app, "host:80", "room", "text", 1353088179);
  EXPECT_TRUE(request.starts_with(
      "POST /apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179&"))
      << request;
  EXPECT_TRUE(
      request.ends_with("\r\n\r\n{\"name\":\"load\",\"channel\":\"room\",\"data\":\"text\"}"));
}

TEST(PusherClient, WantsAllThreeOfAnApp) {
  for (const char* text : {"", "1", "1:k", "1:k:", ":k:s"}) EXPECT_FALSE(PusherApp::parse(text));
}

}  // namespace
}  // namespace holdfast::load
