#include "server/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "server/worker.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr Instant kNow{std::chrono::seconds(100)};
constexpr SubscribeOptions kWindow{.window = milliseconds(50)};

broker::SharedPublication message(std::string_view topic, std::string_view text,
                                  std::string_view key = {}) {
  return make_publication(topic, MessageKind::kText, as_bytes(text), {.key = key});
}

std::string text_of(const broker::Publication& publication) {
  const Bytes wire = publication.wire.bytes();
  const std::size_t header = wire[1] < std::byte{126} ? 2 : wire[1] == std::byte{126} ? 4 : 10;
  return std::string(as_text(wire.subspan(header)));
}

class WindowsTest : public testing::Test {
 protected:
  std::uint32_t add(const broker::SharedPublication& one, Instant now) {
    return windows_.add(one->topic, {&one, 1}, now);
  }
  // The messages of the windows that end, each behind the topic of its window.
  std::vector<std::string> run(Instant now) {
    std::vector<std::string> ended;
    windows_.run(now, [&](std::string_view key, const Windows::Batch& batch) {
      for (const auto& one : batch)
        ended.push_back(std::string(Windows::topic_of(key)) + ' ' + text_of(*one));
    });
    return ended;
  }

  Windows windows_;
};

TEST_F(WindowsTest, EndsEachWindowItsLengthAfterItsFirstMessageWhateverComesLater) {
  for (const char* topic : {"a", "b", "c"}) windows_.open(topic, kWindow);
  add(message("b", "1"), kNow);
  add(message("a", "1"), kNow + milliseconds(10));
  add(message("b", "2"), kNow + milliseconds(49));
  EXPECT_EQ(windows_.next_due(), kNow + milliseconds(50));
  EXPECT_THAT(run(kNow + milliseconds(50)), ElementsAre("b 1", "b 2"));
  add(message("b", "3"), kNow + milliseconds(51));
  EXPECT_EQ(windows_.next_due(), kNow + milliseconds(60));
  EXPECT_THAT(run(kNow + milliseconds(101)), ElementsAre("a 1", "b 3"));
  EXPECT_EQ(windows_.next_due(), kNever);
}

TEST_F(WindowsTest, EndsAWindowThatIsFullBeforeTheOthers) {
  for (const char* topic : {"a", "b"}) windows_.open(topic, kWindow);
  add(message("a", "1"), kNow);
  add(message("b", "2"), kNow + milliseconds(1));
  add(message("b", std::string(256 * 1024, 'x')), kNow + milliseconds(2));
  EXPECT_EQ(run(kNow + milliseconds(2)).size(), 2u);
  EXPECT_EQ(windows_.next_due(), kNow + milliseconds(50));
}

TEST_F(WindowsTest, ForgetsWhenAWindowIsDueThatIsClosedOrEndedEarly) {
  for (const char* topic : {"a", "b", "c"}) {
    windows_.open(topic, kWindow);
    add(message(topic, "1"), kNow);
  }
  windows_.close(Windows::key_of("b", kWindow));
  int ended = 0;
  const auto count = [&](std::string_view, const Windows::Batch& batch) {
    ended += static_cast<int>(batch.size());
  };
  windows_.end_early("a", [](std::string_view) { return true; }, count);
  windows_.end_early("a", [](std::string_view) { return true; }, count);
  windows_.end_early("c", [](std::string_view) { return false; }, count);
  EXPECT_EQ(ended, 1);
  add(message("a", "2"), kNow + milliseconds(10));
  EXPECT_THAT(run(kNow + milliseconds(50)), ElementsAre("c 1"));
  EXPECT_THAT(run(kNow + milliseconds(60)), ElementsAre("a 2"));
}

// One at random after the other: against a plain list, in which the newest of a key stands last.
TEST_F(WindowsTest, HoldsTheNewestOfEachKeyInTheOrderOfTheirBirth) {
  constexpr SubscribeOptions kConflated{.window = milliseconds(50), .conflate = true};
  windows_.open("a", kConflated);
  std::mt19937 random(7);
  for (const unsigned keys : {1u, 2u, 10u, 200u}) {
    std::vector<std::pair<std::string, std::string>> plain;
    std::uint32_t expected = 0, replaced = 0;
    for (int i = 0; i < 1'000; ++i) {
      // Longer than what a string keeps within itself, and not.
      const std::string key = std::string(random() % 2 * 30, 'k') + std::to_string(random() % keys);
      const std::string text = std::to_string(i);
      expected += static_cast<std::uint32_t>(
          std::erase_if(plain, [&](const auto& one) { return one.first == key; }));
      plain.emplace_back(key, "a " + text);
      replaced += add(message("a", text, key), kNow);
    }
    EXPECT_EQ(replaced, expected);
    std::vector<std::string> left;
    for (const auto& [key, text] : plain) left.push_back(text);
    EXPECT_EQ(run(kNow + milliseconds(50)), left);
  }
}

// One that is full by its newest values alone ends early.
TEST_F(WindowsTest, IsNotFullOfValuesThatNewerOnesTookThePlaceOf) {
  windows_.open("a", {.window = milliseconds(50), .conflate = true});
  const std::string large(100 * 1024, 'x');
  for (int i = 0; i < 100; ++i) add(message("a", large, i % 2 == 0 ? "even" : "odd"), kNow);
  EXPECT_EQ(windows_.next_due(), kNow + milliseconds(50));
  add(message("a", large, "third"), kNow);
  EXPECT_EQ(windows_.next_due(), kNow);
  EXPECT_EQ(run(kNow).size(), 3u);
}

// What one more message costs where so many windows are due already, in microseconds of this
// process.
double cost_among(int count) {
  Windows windows;
  std::vector<broker::SharedPublication> messages;
  for (int i = 0; i < count; ++i) {
    messages.push_back(message("topic-" + std::to_string(i), "x"));
    windows.open(messages.back()->topic, kWindow);
  }
  double least = 1e9;
  for (int round = 0; round < 4; ++round) {
    const std::clock_t begin = std::clock();
    for (const auto& one : messages) windows.add(one->topic, {&one, 1}, kNow);
    if (round > 0) least = std::min(least, static_cast<double>(std::clock() - begin) / count);
  }
  return least;
}

// Where all were searched, some sixty times as much.
TEST_F(WindowsTest, TakesAMessageAsFastAmongManyWindowsThatAreDueAsAmongFew) {
  EXPECT_LT(cost_among(16'000), 15 * cost_among(250) + 0.5);
}

// What a newer value costs in a conflated window of so many keys, the same way.
double cost_of_newer(unsigned keys) {
  Windows windows;
  windows.open("prices", {.window = milliseconds(50), .conflate = true});
  std::vector<broker::SharedPublication> messages;
  for (unsigned i = 0; i < keys; ++i) messages.push_back(message("prices", "", std::to_string(i)));
  windows.add("prices", messages, kNow);
  std::mt19937 random(7);
  double least = 1e9;
  for (int round = 0; round < 3; ++round) {
    const std::clock_t begin = std::clock();
    for (int i = 0; i < 8'000; ++i) windows.add("prices", {&messages[random() % keys], 1}, kNow);
    least = std::min(least, static_cast<double>(std::clock() - begin) / 8'000);
  }
  return least;
}

// Where all keys were compared, some hundred times as much.
TEST_F(WindowsTest, TakesANewerValueAsFastAmongManyKeysAsAmongFew) {
  EXPECT_LT(cost_of_newer(4'000), 15 * cost_of_newer(20) + 0.5);
}

}  // namespace
}  // namespace holdfast::server
