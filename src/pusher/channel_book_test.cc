#include "pusher/channel_book.h"

#include <gtest/gtest.h>

namespace holdfast::pusher {
namespace {

constexpr std::uint32_t kMany = 100;
const ChannelBook::Member kAnna{"anna", R"({"name":"Anna"})"};
const ChannelBook::Member kBob{"bob", "null"};

class ChannelBookTest : public testing::Test {
 protected:
  ChannelBook::Joined join(const std::optional<ChannelBook::Member>& member,
                           std::uint32_t most = kMany) {
    return book_.join("app", "presence-x", member, most, [&] { told_ += "+"; });
  }
  ChannelBook::Left leave(std::string_view user) {
    return book_.leave("app", "presence-x", user, [&] { told_ += "-"; });
  }
  ChannelBook book_;
  std::string told_;
};

TEST_F(ChannelBookTest, CountsAUserOnceHoweverManyConnectionsItHas) {
  EXPECT_TRUE(join(kAnna).is_new_member);
  EXPECT_FALSE(join(kAnna).is_new_member);
  EXPECT_EQ(
      join(kBob).presence,
      R"({"presence":{"ids":["anna","bob"],"hash":{"anna":{"name":"Anna"},"bob":null},"count":2}})");
  EXPECT_FALSE(leave("anna").is_gone);
  EXPECT_TRUE(leave("anna").is_gone);
  EXPECT_EQ(told_, "++-");
  EXPECT_EQ(book_.users("app", "presence-x"), std::vector<std::string>{"bob"});
}

TEST_F(ChannelBookTest, ForgetsAChannelWithItsLastSubscription) {
  EXPECT_EQ(book_.join("app", "news", std::nullopt, kMany, nullptr).subscriptions, 1u);
  EXPECT_EQ(book_.join("app", "news", std::nullopt, kMany, nullptr).subscriptions, 2u);
  EXPECT_EQ(book_.figures("app", "news")->subscriptions, 2u);
  EXPECT_FALSE(book_.figures("other", "news"));
  book_.leave("app", "news", "", nullptr);
  EXPECT_EQ(book_.leave("app", "news", "", nullptr).subscriptions, 0u);
  EXPECT_FALSE(book_.figures("app", "news"));
}

TEST_F(ChannelBookTest, RefusesAMemberTooManyButNotAnotherConnectionOfOne) {
  join(kAnna, 1);
  EXPECT_EQ(join(kBob, 1).refusal, ChannelBook::Joined::Refusal::kTooManyMembers);
  EXPECT_EQ(join(kAnna, 1).refusal, ChannelBook::Joined::Refusal::kNone);
  EXPECT_EQ(book_.figures("app", "presence-x")->subscriptions, 2u);
}

TEST_F(ChannelBookTest, ListsTheChannelsOfOneAppByPrefix) {
  for (const char* name : {"presence-b", "presence-a", "news"})
    book_.join("app", name, std::nullopt, kMany, nullptr);
  book_.join("apps", "presence-c", std::nullopt, kMany, nullptr);
  const auto found = book_.channels("app", "presence-");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].first, "presence-a");
  EXPECT_EQ(found[1].first, "presence-b");
  EXPECT_EQ(book_.channels("app", "").size(), 3u);
}

TEST_F(ChannelBookTest, KeepsTheLastEventOfACacheChannelForItsTime) {
  const Instant now{std::chrono::seconds(10)};
  book_.remember("app", "cache-x", "first", now + std::chrono::seconds(5));
  book_.remember("app", "cache-x", "second", now + std::chrono::seconds(5));
  EXPECT_EQ(book_.last_event("app", "cache-x", now)->message, "second");
  EXPECT_FALSE(book_.last_event("app", "cache-x", now + std::chrono::seconds(5)));
  EXPECT_FALSE(book_.last_event("app", "cache-y", now));
}

}  // namespace
}  // namespace holdfast::pusher
