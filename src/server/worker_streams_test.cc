// Readers of server-sent events: what they are sent, how they are kept, and how they end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::StartsWith;

// Whoever reads it, or opens a WebSocket to it, is on the topic "news".
class Feed final : public Handler {
 public:
  std::optional<Reply> request(const Request& request, Publisher&) override {
    last_ids.push_back(std::string(request.header("Last-Event-ID").value_or("none")));
    return Reply{.body = "retry: 7\n\n",
                 .headers = {{"X-Feed", "news"}, {"Content-Type", "text/html"}},
                 .event_stream = !is_full};
  }
  void open(Peer& peer, const Request& request) override {
    peer.subscribe("news");
    if (request.header("Last-Event-ID")) peer.send("missed", "8");
    peers.push_back(peer.id());
  }
  void message(Peer&, MessageKind, Bytes) override { ++messages; }
  void drain(Peer&) override { ++drains; }
  void close(Peer& peer, std::uint16_t code) override {
    codes.push_back(code);
    peer.send("too late");
  }
  std::uint16_t queue_full_code() const override { return 4100; }
  std::uint16_t no_pong_code() const override { return 4201; }
  std::uint16_t drain_code() const override { return 4200; }

  bool is_full = false;
  std::vector<std::string> last_ids;
  std::vector<PeerId> peers;
  std::vector<int> codes;
  int messages = 0, drains = 0;
};

std::string get(std::string_view more = {}, std::string_view method = "GET") {
  return std::string(method) + " /feed HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

class WorkerStreamsTest : public WorkerScene {
 protected:
  WorkerStreamsTest() { router_.add("/feed", feed_); }

  void open(int descriptor, std::string_view more = {}) {
    ASSERT_THAT(come(descriptor, get(more)), StartsWith("HTTP/1.1 200 "));
  }
  void publish(std::string_view text, std::string_view id = {}, std::string_view key = {}) {
    worker().publish("news", MessageKind::kText, as_bytes(text), {.key = key, .event_id = id});
    worker().turn();
  }
  void expect_nothing_left() {
    EXPECT_EQ(counters_.connections.read(), 0u);
    EXPECT_EQ(counters_.event_streams.read(), 0u);
    EXPECT_EQ(counters_.queued_bytes.read(), 0u);
    EXPECT_TRUE(worker().is_empty());
  }

  std::shared_ptr<Feed> feed_ = std::make_shared<Feed>();
};

TEST_F(WorkerStreamsTest, AnswersWithAHeadThatDoesNotSayWhereTheBodyEnds) {
  const std::string text = come(5, get());
  const std::string head = text.substr(0, text.find("\r\n\r\n") + 4);
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* line :
       {"Content-Type: text/event-stream\r\n", "Cache-Control: no-store\r\n", "X-Feed: news\r\n",
        "X-Accel-Buffering: no\r\n", "Connection: close\r\n"}) {
    EXPECT_THAT(head, HasSubstr(line));
  }
  EXPECT_THAT(head, Not(HasSubstr("text/html"))) << "nothing else is a stream";
  EXPECT_THAT(head, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(head, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_EQ(text.substr(head.size()), "retry: 7\n\n");
  EXPECT_FALSE(loop_.shut.contains(5));
  EXPECT_EQ(counters_.connections.read(), 1u);
  EXPECT_EQ(counters_.event_streams.read(), 1u);
}

TEST_F(WorkerStreamsTest, TakesARequestThatIsCutAnywhere) {
  const std::string wire = get("Last-Event-ID: 7\r\n");
  for (std::size_t cut = 1; cut < wire.size(); ++cut) {
    come(5, wire.substr(0, cut));
    ASSERT_THAT(say(5, wire.substr(cut)), EndsWith("\r\n\r\nretry: 7\n\nid: 8\ndata: missed\n\n"))
        << cut;
    end(5);
  }
  EXPECT_THAT(feed_->last_ids, Each("7"));
  EXPECT_THAT(feed_->codes, Each(1006));
  expect_nothing_left();
}

TEST_F(WorkerStreamsTest, AnswersHeadWithTheHeadOfTheStreamAlone) {
  const std::string full = come(5, get());
  EXPECT_EQ(come(6, get({}, "HEAD")), full.substr(0, full.find("\r\n\r\n") + 4));
  EXPECT_TRUE(loop_.shut.contains(6)) << "its head said so";
  EXPECT_EQ(feed_->peers.size(), 1u);
  EXPECT_EQ(counters_.event_streams.read(), 1u);
  EXPECT_EQ(counters_.requests.read(), 1u);
}

TEST_F(WorkerStreamsTest, BeginsNoStreamWhereTheHandlerWantsNone) {
  feed_->is_full = true;
  const std::string answer = come(5, get());
  EXPECT_THAT(answer, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nretry: 7\n\n"));
  EXPECT_THAT(feed_->peers, IsEmpty());
  EXPECT_EQ(counters_.event_streams.read(), 0u);
}

TEST_F(WorkerStreamsTest, TellsWhatIsPublishedAsEventsWithTheirIds) {
  open(5);
  open(6);
  come(7, upgrade_request("/feed"));
  publish("plain");
  publish("two\r\nlines", "9");
  for (const int reader : {5, 6}) {
    EXPECT_EQ(heard(reader), "data: plain\n\nid: 9\ndata: two\ndata: lines\n\n");
  }
  EXPECT_EQ(heard(7), "\x81\x05plain\x81\x0Atwo\r\nlines") << "a WebSocket is told no id";
}

TEST_F(WorkerStreamsTest, JoinsTheEventsOfATurnInOneWrite) {
  open(5);
  loop_.sends[5] = 0;
  for (const char* text : {"a", "b", "c"})
    worker().publish("news", MessageKind::kText, as_bytes(text));
  worker().turn();
  EXPECT_EQ(heard(5), "data: a\n\ndata: b\n\ndata: c\n\n");
  EXPECT_EQ(loop_.sends[5], 1);
}

TEST_F(WorkerStreamsTest, PassesByWhatNoStreamCanCarry) {
  open(5);
  worker().publish("news", MessageKind::kBinary, as_bytes(std::string_view("\x00\xFF", 2)));
  publish("text");
  post(feed_->peers[0], [](Peer& peer) {
    peer.send(MessageKind::kBinary, as_bytes(std::string_view("\x00\xFF", 2)));
    peer.send("to you alone", "10");
  });
  worker().turn();
  EXPECT_EQ(heard(5), "data: text\n\nid: 10\ndata: to you alone\n\n");
}

TEST_F(WorkerStreamsTest, PassesByTheReaderThatAPublicationLeavesOut) {
  open(5);
  open(6);
  worker().publish("news", MessageKind::kText, as_bytes(std::string_view("x")),
                   {.except = feed_->peers[0]});
  worker().turn();
  EXPECT_EQ(heard(5), "");
  EXPECT_EQ(heard(6), "data: x\n\n");
}

TEST_F(WorkerStreamsTest, HearsNothingOfWhatAReaderSays) {
  come(5, get() + get());
  EXPECT_EQ(say(5, get()), "");
  EXPECT_EQ(say(5, "\x81\x80mask"), "");
  EXPECT_EQ(feed_->messages, 0);
  EXPECT_EQ(feed_->last_ids.size(), 1u);
  publish("still there");
  EXPECT_EQ(heard(5), "data: still there\n\n");
}

TEST_F(WorkerStreamsTest, KeepsReadersWithCommentsThatNobodyAnswers) {
  open(5);
  pass(seconds(20));
  EXPECT_EQ(heard(5), ":\n\n");
  pass(seconds(40));
  EXPECT_EQ(heard(5), ":\n\n:\n\n");
  EXPECT_EQ(counters_.pings_sent.read(), 0u);
  EXPECT_EQ(counters_.pongs_missed.read(), 0u);
  EXPECT_EQ(counters_.connections.read(), 1u);
}

TEST_F(WorkerStreamsTest, GoesOnWhereTheSocketWasFullWithoutALossOrATwist) {
  open(5);
  loop_.limit(5, 10);
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "event " + std::to_string(i);
    publish(text, std::to_string(i));
    all += "id: " + std::to_string(i) + "\ndata: " + text + "\n\n";
  }
  EXPECT_EQ(loop_.sent[5], all.substr(0, 10));
  EXPECT_EQ(counters_.queued_bytes.read(), all.size() - 10);
  for (std::size_t room = 1; loop_.sent[5].size() < all.size(); room += 7) make_room(5, room);
  loop_.unlimit(5);
  EXPECT_EQ(feed_->drains, 1) << "its handler may say more now";
  publish("live");
  EXPECT_EQ(heard(5), all + "data: live\n\n");
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerStreamsTest, CutsASlowReaderWithoutAWordThatIsNoEvent) {
  open(5);
  open(6);
  loop_.limit(5, 50);
  for (int i = 0; i < 4; ++i) publish(std::string(400, 'x'));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(heard(5), "data: " + std::string(44, 'x'));
  EXPECT_THAT(feed_->codes, ElementsAre(1006));
  EXPECT_EQ(counters_.of(Ending::kQueueFull).read(), 1u);
  EXPECT_EQ(counters_.event_streams.read(), 1u);
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
  EXPECT_EQ(heard(6).size(), 4 * 408u) << "the other one hears all";
}

TEST_F(WorkerStreamsTest, DropsWholeEventsOfASlowReaderWhereThatIsThePolicy) {
  settings_.drop_oldest = true;
  open(5);
  loop_.limit(5, 50);
  for (char c = 'a'; c < 'f'; ++c) publish(std::string(400, c), std::string(1, c));
  EXPECT_FALSE(loop_.closed.contains(5));
  EXPECT_LE(counters_.queued_bytes.read(), 1000u);
  make_room(5, 100'000);
  const auto event = [](char c) {
    return "id: " + std::string(1, c) + "\ndata: " + std::string(400, c) + "\n\n";
  };
  EXPECT_EQ(heard(5), event('a') + event('e')) << "what was begun is ended";
  EXPECT_EQ(counters_.messages_dropped.read(), 3u);
}

TEST_F(WorkerStreamsTest, KeepsTheNewestValueForASlowReaderWhereThatIsThePolicy) {
  settings_.conflate = true;
  open(5);
  loop_.limit(5, 0);
  publish("first", "1");
  for (int i = 2; i < 9; ++i) publish("price " + std::to_string(i), std::to_string(i), "price");
  publish("name", "9", "name");
  make_room(5, 100'000);
  EXPECT_EQ(heard(5), "id: 1\ndata: first\n\nid: 8\ndata: price 8\n\nid: 9\ndata: name\n\n");
}

TEST_F(WorkerStreamsTest, EndsAStreamBehindAllThatWasSent) {
  open(5);
  loop_.limit(5, 3);
  post(feed_->peers[0], [](Peer& peer) {
    peer.send("the last word");
    peer.close(4001, "not told");
    peer.send("too late");
  });
  worker().turn();
  EXPECT_FALSE(loop_.shut.contains(5));
  EXPECT_EQ(counters_.event_streams.read(), 0u) << "its handler is through with it";
  publish("for others");
  make_room(5, 100'000);
  EXPECT_EQ(heard(5), "data: the last word\n\n");
  EXPECT_TRUE(loop_.shut.contains(5));
  EXPECT_THAT(feed_->codes, ElementsAre(4001));
  loop_.end(5);
  worker().turn();
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.of(Ending::kHandler).read(), 1u);
  expect_nothing_left();
}

TEST_F(WorkerStreamsTest, WaitsNoLongerThanTheCloseTimeoutForAReaderThatStays) {
  open(5);
  post(feed_->peers[0], [](Peer& peer) { peer.close(); });
  worker().turn();
  pass(milliseconds(900));
  EXPECT_FALSE(loop_.closed.contains(5));
  pass(milliseconds(200));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_THAT(feed_->codes, ElementsAre(1000));
  expect_nothing_left();
}

TEST_F(WorkerStreamsTest, ForgetsAReaderThatLeaves) {
  open(5);
  open(6);
  loop_.end(5);
  loop_.end(6, ECONNRESET);
  worker().turn();
  EXPECT_THAT(feed_->codes, ElementsAre(1006, 1006));
  EXPECT_EQ(counters_.of(Ending::kPeerLeft).read(), 1u);
  EXPECT_EQ(counters_.of(Ending::kReset).read(), 1u);
  expect_nothing_left();
  // The next one with its descriptor is a WebSocket, and nothing of a stream.
  come(5, upgrade_request("/feed"));
  publish("x");
  EXPECT_EQ(heard(5), "\x81\x01x");
}

TEST_F(WorkerStreamsTest, SpreadsTheEndsOverTheTimeOfADrain) {
  settings_.ping_interval = seconds(0);
  for (int descriptor = 5; descriptor < 105; ++descriptor) open(descriptor);
  loop_.sends.clear();
  worker().drain();
  const auto step = [&] {
    const std::size_t before = loop_.shut.size();
    pass(seconds(2) + milliseconds(500));
    return loop_.shut.size() - before;
  };
  for (int quarter = 0; quarter < 4; ++quarter) {
    EXPECT_THAT(step(), AllOf(Ge(20u), Le(30u))) << quarter;
    EXPECT_EQ(counters_.event_streams.read(), 100 - loop_.shut.size());
  }
  EXPECT_EQ(loop_.shut.size(), 100u);
  EXPECT_THAT(feed_->codes, Each(1006)) << "nobody was told a code";
  EXPECT_THAT(loop_.sends, IsEmpty());
  pass(seconds(2));
  EXPECT_EQ(counters_.of(Ending::kDrained).read(), 100u);
  expect_nothing_left();
}

}  // namespace
}  // namespace holdfast::server
