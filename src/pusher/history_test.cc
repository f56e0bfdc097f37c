#include "pusher/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

namespace holdfast::pusher {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kPlenty = 1 << 20;

class HistoryTest : public testing::Test {
 protected:
  Place say(std::string_view channel, std::string_view text, std::uint64_t bytes_max = kPlenty) {
    Place said;
    history_.append(channel, rule_, bytes_max, R"({"data":")" + std::string(text) + R"("})", now_,
                    [&](const std::string&, const Place& place) { said = place; });
    return said;
  }
  Place here(std::string_view channel) { return recover(channel, {}).place; }
  History::Missed recover(std::string_view channel, const Place& from) {
    return history_.recover(channel, rule_, kPlenty, from, now_, nullptr);
  }
  // What `data` says of each event that one who comes back from there is told; "lost".
  std::vector<std::string> told(std::string_view channel, const Place& from) {
    const History::Missed missed = recover(channel, from);
    if (!missed.is_whole) return {"lost"};
    std::vector<std::string> texts;
    for (const SharedBytes& event : missed.events) {
      const std::string_view text = as_text(event.bytes());
      texts.emplace_back(text.substr(9, text.find('"', 9) - 9));
    }
    return texts;
  }
  void pass(Duration time, bool is_occupied = false) {
    now_ += time;
    history_.expire(now_, [&](std::string_view) { return is_occupied; });
  }

  HistoryRule rule_{.prefix = "", .events = 3, .age = seconds(60)};
  Instant now_{seconds(1000)};
  History history_{7};
};

TEST_F(HistoryTest, WritesSerialAndEpochIntoEveryEvent) {
  const Place start = here("a");
  EXPECT_EQ(start.serial, 0u);
  EXPECT_NE(start.epoch, 0u);
  std::string written;
  history_.append("a", rule_, kPlenty, R"({"event":"e"})", now_,
                  [&](const std::string& message, const Place&) { written = message; });
  EXPECT_EQ(written, R"({"event":"e","serial":1,"epoch":")" + epoch_text(start.epoch) + R"("})");
  EXPECT_EQ(as_text(recover("a", start).events.at(0).bytes()), written) << "and keeps it so";
}

TEST_F(HistoryTest, TellsOneWhoComesBackWhatItMissed) {
  const Place first = say("a", "1");
  say("a", "2");
  say("b", "elsewhere");
  const Place third = say("a", "3");
  EXPECT_THAT(told("a", first), ElementsAre("2", "3"));
  EXPECT_THAT(told("a", third), IsEmpty());
  EXPECT_EQ(recover("a", first).place, third);
}

TEST_F(HistoryTest, IsBoundedByCount) {
  const Place start = here("a");
  std::vector<Place> places;
  for (const char* text : {"1", "2", "3", "4", "5"}) places.push_back(say("a", text));
  EXPECT_THAT(told("a", start), ElementsAre("lost"));
  EXPECT_THAT(told("a", places[0]), ElementsAre("lost")) << "the second is gone";
  EXPECT_THAT(told("a", places[1]), ElementsAre("3", "4", "5"));
  EXPECT_EQ(history_.figures().events, 3u);
}

TEST_F(HistoryTest, IsBoundedByAgeBeforeAnybodyCleansUp) {
  const Place first = say("a", "1");
  now_ += seconds(30);
  const Place second = say("a", "2");
  now_ += seconds(30);
  EXPECT_THAT(told("a", {first.epoch, 0}), ElementsAre("lost"));
  EXPECT_THAT(told("a", first), ElementsAre("2"));
  now_ += seconds(30);
  EXPECT_THAT(told("a", first), ElementsAre("lost"));
  EXPECT_THAT(told("a", second), IsEmpty()) << "nothing came since then";
}

TEST_F(HistoryTest, DoesNotKnowPlacesOfAnotherEpochOrOfTheFuture) {
  const Place place = say("a", "1");
  EXPECT_THAT(told("a", {place.epoch + 1, 1}), ElementsAre("lost"));
  EXPECT_THAT(told("a", {place.epoch, 2}), ElementsAre("lost"));
  EXPECT_THAT(told("a", {}), ElementsAre("lost"));
  EXPECT_THAT(told("b", place), ElementsAre("lost")) << "each channel has an epoch of its own";
  EXPECT_FALSE(History(8).recover("a", rule_, kPlenty, place, now_, nullptr).is_whole);
}

TEST_F(HistoryTest, KeepsTheCountOfAQuietChannelWhileSomebodyIsThere) {
  const Place place = say("a", "1");
  for (int i = 0; i < 10; ++i) pass(seconds(50), true);
  EXPECT_EQ(history_.figures().events, 0u);
  EXPECT_THAT(told("a", place), IsEmpty());
  pass(seconds(59));
  EXPECT_THAT(told("a", place), IsEmpty()) << "and for as long as events are kept after that";
  pass(seconds(61));
  EXPECT_EQ(history_.figures().channels, 0u);
  EXPECT_EQ(history_.figures().bytes, 0u);
  EXPECT_THAT(told("a", place), ElementsAre("lost"));
}

TEST_F(HistoryTest, GivesUpWhatIsOldestWhereMemoryIsNeeded) {
  const std::string text(100, 'x');
  const Place start = here("a");
  const Place first = say("a", text);
  const std::uint64_t full = history_.figures().bytes + 50;
  const Place second = say("a", text, full);
  EXPECT_LE(history_.figures().bytes, full);
  EXPECT_EQ(history_.figures().evicted, 1u);
  EXPECT_EQ(second, (Place{first.epoch, 2})) << "the count goes on";
  EXPECT_THAT(told("a", start), ElementsAre("lost"));
  EXPECT_THAT(told("a", first), ElementsAre(text));
  say("a", text, 1);
  EXPECT_EQ(history_.figures().bytes, 0u) << "in the worst case everything goes, the count too";
  EXPECT_THAT(told("a", second), ElementsAre("lost"));
}

TEST_F(HistoryTest, BeginsANewWhereEventsWentByUncounted) {
  const Place place = say("a", "1");
  history_.forget_all();
  EXPECT_EQ(history_.figures().bytes, 0u);
  EXPECT_NE(say("a", "2").epoch, place.epoch);
  EXPECT_THAT(told("a", place), ElementsAre("lost"));
}

TEST_F(HistoryTest, TakesNoMoreThanItKeepsHoweverLongItRuns) {
  for (int i = 0; i < 10'000; ++i) {
    say("channel-" + std::to_string(i % 100), "text");
    if (i % 10 == 0) pass(seconds(1));
  }
  EXPECT_LE(history_.figures().events, 300u);
  pass(seconds(61));
  EXPECT_EQ(history_.figures().channels, 0u);
  EXPECT_EQ(history_.figures().bytes, 0u);
}

TEST(HistoryPlace, IsReadAsItIsWritten) {
  const Place place{0xAB12, 345};
  EXPECT_EQ(place_text(place), "ab12:345");
  EXPECT_EQ(parse_place("ab12:345"), place);
  EXPECT_EQ(parse_epoch(epoch_text(place.epoch)), place.epoch);
  for (const char* text : {"", ":", "1", "1:", ":1", "x:1", "1:x", "1:-1", "1:1 ", "1:1:1",
                           "11111111111111111:1", "1:99999999999999999999"}) {
    EXPECT_FALSE(parse_place(text)) << text;
  }
  EXPECT_EQ(parse_epoch("no epoch"), 0u);
}

// The argument of the header, played with a mailbox: what is recovered, and what lies behind the
// letter, are together the whole stream.
TEST(HistoryRace, LosesAndDoublesNothingWhileOthersPublish) {
  constexpr int kPublishers = 3;
  constexpr std::uint64_t kEvents = 4'000;
  const HistoryRule rule{.prefix = "", .events = 20'000};
  const Instant now{seconds(1000)};
  History history(7);
  std::mutex mutex;
  std::vector<std::uint64_t> mailbox;  // serials; 0 is the letter
  const auto post = [&](std::uint64_t serial) {
    const std::lock_guard lock(mutex);
    mailbox.push_back(serial);
  };
  std::vector<std::thread> publishers;
  for (int i = 0; i < kPublishers; ++i) {
    publishers.emplace_back([&] {
      for (std::uint64_t event = 0; event < kEvents; ++event) {
        history.append("a", rule, 64 << 20, "{}", now,
                       [&](const std::string&, const Place& place) { post(place.serial); });
      }
    });
  }
  std::vector<History::Missed> recoveries;
  const Place start{history.recover("a", rule, 64 << 20, {}, now, nullptr).place.epoch, 0};
  for (int i = 0; i < 50; ++i) {
    recoveries.push_back(history.recover("a", rule, 64 << 20, start, now, [&] { post(0); }));
    std::this_thread::yield();
  }
  for (std::thread& publisher : publishers) publisher.join();

  std::size_t letter = 0;
  for (const History::Missed& missed : recoveries) {
    ASSERT_TRUE(missed.is_whole);
    ASSERT_EQ(missed.events.size(), missed.place.serial);
    while (mailbox.at(letter) != 0) ++letter;
    std::uint64_t heard = missed.place.serial;
    for (std::size_t i = letter + 1; i < mailbox.size(); ++i) {
      if (mailbox[i] == 0) continue;
      ASSERT_EQ(mailbox[i], ++heard);
    }
    EXPECT_EQ(heard, kPublishers * kEvents);
    ++letter;
  }
}

}  // namespace
}  // namespace holdfast::pusher
