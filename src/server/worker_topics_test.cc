#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using testing::StartsWith;

class Reader final : public Handler {
 public:
  void close(Peer&, std::uint16_t) override { ++closes; }
  int closes = 0;
};

std::string text_frame(std::string_view text) {
  return "\x81" + std::string(1, static_cast<char>(text.size())) + std::string(text);
}

// Peers who subscribe to "news" when the test says so.
class WorkerTopicsTest : public WorkerScene {
 protected:
  WorkerTopicsTest() { router_.add("/reader", reader_); }

  void open(int descriptor) {
    ASSERT_THAT(come(descriptor, upgrade_request("/reader")), StartsWith("HTTP/1.1 101 "));
  }
  // In the next turn, in their order with publications.
  void act(int descriptor, std::function<void(Peer&)> what) {
    post(worker().id_of(descriptor), std::move(what));
  }
  void subscribe(int descriptor, SubscribeOptions options) {
    act(descriptor, [options](Peer& peer) { peer.subscribe("news", options); });
    worker().turn();
  }
  void publish(std::string_view text) {
    worker().publish("news", MessageKind::kText, as_bytes(text), {.key = text.substr(0, 1)});
    worker().turn();
  }
  void wait(Duration time) {
    loop_.advance(time);
    worker().turn();
  }

  std::shared_ptr<Reader> reader_ = std::make_shared<Reader>();
};

constexpr SubscribeOptions kWindow{.window = milliseconds(50)};
constexpr SubscribeOptions kConflated{.window = milliseconds(50), .conflate = true};

TEST_F(WorkerTopicsTest, GivesNobodyWhatAWindowGatheredBeforeItCame) {
  open(5);
  open(6);
  subscribe(5, kWindow);
  publish("1");
  // Published so far is told, as Peer::at_this_point_of promises: the window must not tell it
  // again.
  act(6, [](Peer& peer) {
    ASSERT_TRUE(peer.at_this_point_of("news", [](Peer& same) {
      same.send("1");
      same.subscribe("news", kWindow);
    }));
  });
  worker().turn();
  EXPECT_EQ(heard(5), "");
  worker().turn();
  EXPECT_EQ(heard(5), text_frame("1")) << "its window ended early";
  publish("2");
  worker().turn();
  EXPECT_EQ(loop_.last_deadline, loop_.now() + milliseconds(50));
  EXPECT_EQ(heard(5), "");
  wait(milliseconds(50));
  EXPECT_EQ(heard(5), text_frame("2"));
  EXPECT_EQ(heard(6), text_frame("1") + text_frame("2"));
  EXPECT_EQ(counters_.deliveries.read(), 3u);
}

TEST_F(WorkerTopicsTest, EndsAWindowForANewcomerWithoutASubscriberWhoseQueueIsFull) {
  open(5);
  open(6);
  subscribe(5, kWindow);
  loop_.limit(5, 0);
  for (int i = 0; i < 20; ++i) publish(std::string(100, static_cast<char>('a' + i)));
  EXPECT_EQ(reader_->closes, 0);
  subscribe(6, kWindow);
  EXPECT_EQ(reader_->closes, 1);
  EXPECT_TRUE(loop_.closed.contains(5));
  publish("2");
  wait(milliseconds(50));
  EXPECT_EQ(heard(6), text_frame("2"));
}

TEST_F(WorkerTopicsTest, LeavesAWindowItsTimeWhenASubscriberAsksForItAgain) {
  open(5);
  subscribe(5, kWindow);
  publish("1");
  subscribe(5, kWindow);
  EXPECT_EQ(heard(5), "");
  wait(milliseconds(49));
  EXPECT_EQ(heard(5), "");
  wait(milliseconds(1));
  EXPECT_EQ(heard(5), text_frame("1"));
}

TEST_F(WorkerTopicsTest, GivesWhatWaitsInAWindowToOneWhoAsksForAnother) {
  constexpr SubscribeOptions kShort{.window = milliseconds(5)};
  int descriptor = 5;
  for (const SubscribeOptions& later : {SubscribeOptions{}, kShort, kConflated}) {
    SCOPED_TRACE(descriptor);
    open(descriptor);
    subscribe(descriptor, kWindow);
    publish("1");
    EXPECT_EQ(heard(descriptor), "");
    subscribe(descriptor, later);
    EXPECT_EQ(heard(descriptor), text_frame("1"));
    publish("2");
    wait(later.window);
    EXPECT_EQ(heard(descriptor), text_frame("2"));
    wait(milliseconds(1000));
    EXPECT_EQ(heard(descriptor), "");
    end(descriptor++);
  }
  EXPECT_EQ(counters_.deliveries.read(), 6u);
}

TEST_F(WorkerTopicsTest, TellsOneWhoChangesBetweenWindowsOnceWhatWaitsInBoth) {
  open(5);
  open(6);
  subscribe(5, kWindow);
  subscribe(6, kConflated);
  publish("1");
  subscribe(5, kConflated);
  publish("2");
  wait(milliseconds(50));
  EXPECT_EQ(heard(5), text_frame("1") + text_frame("2"));
  EXPECT_EQ(heard(6), text_frame("1") + text_frame("2"));
}

TEST_F(WorkerTopicsTest, TellsOneWhoUnsubscribedNothingMoreAndTheOthersAtTheirTime) {
  open(5);
  open(6);
  subscribe(5, kWindow);
  subscribe(6, kWindow);
  publish("1");
  act(5, [](Peer& peer) { peer.unsubscribe("news"); });
  worker().turn();
  EXPECT_EQ(heard(6), "");
  wait(milliseconds(50));
  EXPECT_EQ(heard(5), "");
  EXPECT_EQ(heard(6), text_frame("1"));
}

}  // namespace
}  // namespace holdfast::server
