#include "pusher/channel_book.h"

#include <gtest/gtest.h>

namespace holdfast::pusher {
namespace {

constexpr std::uint32_t kMany = 100;
const ChannelBook::Member kAnna{"anna", R"({"name":"Anna"})"};
const ChannelBook::Member kBob{"bob", "null"};

using Membership = ChannelBook::Membership;

class ChannelBookTest : public testing::Test {
 protected:
  ChannelBook::Joined join(const std::optional<ChannelBook::Member>& member,
                           std::uint32_t most = kMany) {
    return book_.join("app", "presence-x", member, most, [&](const ChannelBook::Joined& joined) {
      if (joined.is_new_member) told_ += "+";
    });
  }
  ChannelBook::Joined join(std::string_view app, std::string_view channel) {
    return book_.join(app, channel, std::nullopt, kMany, nullptr);
  }
  ChannelBook::Left leave(const Membership& membership) {
    return book_.leave(membership, now_, nullptr);
  }
  void pass(Duration time) {
    now_ += time;
    book_.settle(now_);
  }
  std::vector<std::string> users() { return book_.users("app", "presence-x"); }

  Instant now_{std::chrono::seconds(10)};
  std::string told_;
  ChannelBook book_{[this](const ChannelBook::Channel&, std::string_view user) {
    told_ += "-" + std::string(user);
  }};
};

TEST_F(ChannelBookTest, CountsAUserOnceHoweverManyConnectionsItHas) {
  const auto first = join(kAnna), second = join(kAnna);
  EXPECT_TRUE(first.is_new_member);
  EXPECT_FALSE(second.is_new_member);
  EXPECT_EQ(second.place.user(), "anna");
  EXPECT_EQ(second.place.channel->name(), "presence-x");
  EXPECT_EQ(
      join(kBob).presence,
      R"({"presence":{"ids":["anna","bob"],"hash":{"anna":{"name":"Anna"},"bob":null},"count":2}})");
  EXPECT_FALSE(leave(first.place).is_absent);
  EXPECT_TRUE(leave(second.place).is_absent);
  EXPECT_EQ(told_, "++");
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "++-anna");
  EXPECT_EQ(users(), std::vector<std::string>{"bob"});
}

TEST_F(ChannelBookTest, TellsNobodyOfAUserWhoIsBackInTime) {
  join(kBob);
  const auto first = join(kAnna);
  leave(first.place);
  pass(ChannelBook::kAbsence - Duration(1));
  EXPECT_EQ(users(), (std::vector<std::string>{"anna", "bob"})) << "newcomers see it as all do";
  const auto again = join(kAnna);
  EXPECT_FALSE(again.is_new_member);
  EXPECT_EQ(again.users, 2u);
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "++");
  leave(again.place);
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "++-anna") << "the second absence counts from its own beginning";
}

TEST_F(ChannelBookTest, EndsEachAbsenceWhenItsOwnTimeIsOver) {
  const auto anna = join(kAnna), bob = join(kBob);
  join(ChannelBook::Member{"carl", "null"});
  leave(anna.place);
  pass(std::chrono::seconds(1));
  leave(bob.place);
  pass(std::chrono::seconds(2));
  EXPECT_EQ(told_, "+++-anna");
  pass(std::chrono::seconds(1));
  EXPECT_EQ(told_, "+++-anna-bob");
  EXPECT_EQ(users(), std::vector<std::string>{"carl"});
}

TEST_F(ChannelBookTest, TakesOneWhoComesBackWithOtherInfoForAnother) {
  join(kBob);
  leave(join(kAnna).place);
  const auto again = join(ChannelBook::Member{"anna", "null"});
  EXPECT_TRUE(again.is_new_member);
  EXPECT_EQ(told_, "++-anna+");
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "++-anna+");
}

TEST_F(ChannelBookTest, GivesThePlaceOfOneWhoIsAbsentToANewcomer) {
  leave(join(kAnna, 1).place);
  EXPECT_NE(join(kBob, 1).place.channel, nullptr);
  EXPECT_EQ(told_, "+-anna+");
  EXPECT_EQ(join(kAnna, 1).place.channel, nullptr);
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "+-anna+");
}

TEST_F(ChannelBookTest, RemembersTheAbsentOfAnEmptyChannelButDoesNotShowIt) {
  leave(join(kAnna).place);
  EXPECT_FALSE(book_.figures("app", "presence-x"));
  EXPECT_TRUE(users().empty());
  EXPECT_TRUE(book_.channels("app", "").empty());
  const auto again = join(kAnna);
  EXPECT_EQ(again.subscriptions, 1u);
  EXPECT_FALSE(again.is_new_member);
  leave(again.place);
  pass(ChannelBook::kAbsence);
  EXPECT_EQ(told_, "+-anna");
  EXPECT_TRUE(join(kAnna).is_new_member) << "nothing of the channel is left";
}

TEST_F(ChannelBookTest, ForgetsAChannelWithItsLastSubscription) {
  const auto first = join("app", "news"), second = join("app", "news");
  EXPECT_EQ(first.subscriptions, 1u);
  EXPECT_EQ(second.subscriptions, 2u);
  EXPECT_EQ(book_.figures("app", "news")->subscriptions, 2u);
  EXPECT_FALSE(book_.figures("other", "news"));
  leave(first.place);
  EXPECT_EQ(leave(second.place).subscriptions, 0u);
  EXPECT_FALSE(book_.figures("app", "news"));
}

TEST_F(ChannelBookTest, RefusesAMemberTooManyButNotAnotherConnectionOfOne) {
  join(kAnna, 1);
  EXPECT_EQ(join(kBob, 1).place.channel, nullptr);
  EXPECT_NE(join(kAnna, 1).place.channel, nullptr);
  EXPECT_EQ(book_.figures("app", "presence-x")->subscriptions, 2u);
  EXPECT_EQ(book_.figures("app", "presence-x")->users, 1u);
}

TEST_F(ChannelBookTest, LeavesNoChannelBehindWhereNobodyMayJoin) {
  EXPECT_EQ(join(kBob, 0).place.channel, nullptr);
  EXPECT_FALSE(book_.figures("app", "presence-x"));
}

TEST_F(ChannelBookTest, ListsTheChannelsOfOneAppByPrefix) {
  for (const char* name : {"presence-b", "presence-a", "news"}) join("app", name);
  join("apps", "presence-c");
  const auto found = book_.channels("app", "presence-");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].first, "presence-a");
  EXPECT_EQ(found[1].first, "presence-b");
  EXPECT_EQ(book_.channels("app", "").size(), 3u);
}

TEST_F(ChannelBookTest, NamesTheLargestChannelsOfAllApps) {
  for (const auto& [app, channel, subscriptions] :
       {std::tuple("a", "small", 1), std::tuple("a", "large", 3), std::tuple("b", "large", 2),
        std::tuple("b", "#server-to-user-x", 9)}) {
    for (int i = 0; i < subscriptions; ++i) join(app, channel);
  }
  const auto found = book_.largest(2);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].app + " " + found[0].channel, "a large");
  EXPECT_EQ(found[0].figures.subscriptions, 3u);
  EXPECT_EQ(found[1].app + " " + found[1].channel, "b large");
  EXPECT_TRUE(book_.largest(0).empty());
}

TEST_F(ChannelBookTest, KeepsTheLastEventOfACacheChannelForItsTime) {
  const Instant now{std::chrono::seconds(10)};
  const Instant end = now + std::chrono::seconds(5);
  book_.remember("app", "cache-x", "first", end, nullptr);
  book_.remember("app", "cache-x", "second", end, [&] { told_ += "published"; });
  EXPECT_EQ(book_.last_event("app", "cache-x", now)->message, "second");
  EXPECT_EQ(told_, "published");
  EXPECT_FALSE(book_.last_event("app", "cache-x", end));
  EXPECT_FALSE(book_.last_event("app", "cache-y", now));
  book_.expire(end);
  EXPECT_FALSE(book_.last_event("app", "cache-x", now));
}

}  // namespace
}  // namespace holdfast::pusher
