#include "pusher/client_message.h"

#include <gtest/gtest.h>

namespace holdfast::pusher {
namespace {

TEST(ClientMessage, CarriesItsDataAsItCame) {
  const auto message = parse_client_message(
      R"({"event":"client-move","channel":"private-a","data":{"x":[1,2],"t":"\u00e4"}})");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->event, "client-move");
  EXPECT_EQ(message->channel, "private-a");
  EXPECT_EQ(message->data, "{\"t\":\"ä\",\"x\":[1,2]}");
}

TEST(ClientMessage, TakesFieldsFromAnObjectOrFromItsText) {
  for (
      const char* text :
      {R"({"event":"pusher:subscribe","data":{"channel":"presence-a","auth":"k:s","channel_data":"{}"}})",
       R"({"event":"pusher:subscribe","data":"{\"channel\":\"presence-a\",\"auth\":\"k:s\",\"channel_data\":\"{}\"}"})"}) {
    const auto message = parse_client_message(text);
    ASSERT_TRUE(message) << text;
    const auto fields = message->fields();
    ASSERT_TRUE(fields) << text;
    EXPECT_EQ(fields->channel, "presence-a");
    EXPECT_EQ(fields->auth, "k:s");
    EXPECT_EQ(fields->channel_data, "{}");
    EXPECT_FALSE(fields->user_data);
  }
}

TEST(ClientMessage, MaySayWhereItsSenderWas) {
  const auto place = [](std::string_view recover) {
    return parse_client_message(R"({"event":"pusher:subscribe","data":{"channel":"a","recover":)" +
                                std::string(recover) + "}}")
        ->fields()
        ->recover;
  };
  EXPECT_EQ(place(R"({"serial":7,"epoch":"5f"})"), (Place{0x5f, 7}));
  EXPECT_EQ(place("null"), std::nullopt);
  EXPECT_EQ(place("false"), std::nullopt);
  for (const char* odd : {"true", "{}", "7", R"({"serial":7})", R"({"serial":"7","epoch":"5f"})",
                          R"({"serial":-7,"epoch":"5f"})", R"({"serial":7.5,"epoch":"5f"})",
                          R"({"serial":7,"epoch":"no"})", R"({"serial":7,"epoch":5})"}) {
    EXPECT_EQ(place(odd), Place{}) << odd;
  }
}

TEST(ClientMessage, MayHaveNoDataOrEmptyData) {
  EXPECT_EQ(parse_client_message(R"({"event":"pusher:ping"})")->data, "{}");
  EXPECT_EQ(parse_client_message(R"({"event":"pusher:ping","data":null})")->data, "{}");
  const auto empty = parse_client_message(R"({"event":"pusher:subscribe","data":""})");
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->fields());
}

TEST(ClientMessage, IsNothingWhenItIsNoEvent) {
  for (const char* text :
       {"", "[]", "7", "{", R"({"data":{}})", R"({"event":7})", R"({"event":""})", "\xff"}) {
    EXPECT_FALSE(parse_client_message(text)) << text;
  }
}

TEST(ClientMessage, KnowsAPingWithoutParsing) {
  EXPECT_TRUE(is_plain_ping(R"({"event":"pusher:ping","data":{}})"));
  EXPECT_FALSE(is_plain_ping(R"({"event":"pusher:pong","data":{}})"));
}

TEST(Identity, IsTheSameForANumberAndItsDigits) {
  EXPECT_EQ(parse_channel_data(R"({"user_id":10,"user_info":{"name":"x"}})")->id, "10");
  EXPECT_EQ(parse_channel_data(R"({"user_id":"10"})")->id, "10");
  EXPECT_EQ(parse_channel_data(R"({"user_id":"10"})")->info, "null");
  EXPECT_EQ(parse_channel_data(R"({"user_id":10,"user_info":{"name":"x"}})")->info,
            R"({"name":"x"})");
  for (const char* text :
       {"", "{}", R"({"user_id":""})", R"({"user_id":1.5})", R"({"user_id":null})", "[]"}) {
    EXPECT_FALSE(parse_channel_data(text)) << text;
  }
}

TEST(Identity, OfASignedInUserHasAWatchlist) {
  const auto user = parse_user_data(R"({"id":"a","user_info":{},"watchlist":["b",7]})");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->user.id, "a");
  EXPECT_EQ(user->watchlist, (std::vector<std::string>{"b", "7"}));
  EXPECT_FALSE(parse_user_data(R"({"id":"a","watchlist":"b"})"));
}

}  // namespace
}  // namespace holdfast::pusher
