#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

class Echo final : public Handler {
 public:
  void open(Peer& peer, const Request&) override { peer.subscribe("news", options); }
  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    peer.send(kind, payload);
  }
  void close(Peer&, std::uint16_t code) override { codes.push_back(code); }
  std::vector<int> codes;
  SubscribeOptions options;
};

class Page final : public Handler {
 public:
  std::optional<Reply> request(const Request&, Publisher&) override {
    return Reply{.body = std::string(200, 'x')};
  }
};

// Talks on when it is told of the end.
class Stubborn final : public Handler {
 public:
  void close(Peer& peer, std::uint16_t) override {
    ++closes;
    peer.send(MessageKind::kText, as_bytes("one more thing"));
    peer.subscribe("news");
    peer.close(4000, "closed again");
  }
  int closes = 0;
};

const std::string kUpgrade = upgrade_request("/echo");
const std::string kPing = "\x89" + std::string(1, '\0');

class WorkerTest : public WorkerScene {
 protected:
  WorkerTest() { router_.add("/echo", echo_); }

  void open(int descriptor) {
    ASSERT_THAT(come(descriptor, kUpgrade), StartsWith("HTTP/1.1 101 "));
  }

  std::shared_ptr<Echo> echo_ = std::make_shared<Echo>();
};

TEST_F(WorkerTest, OpensAWebSocketWhoseRequestComesByteByByte) {
  loop_.accept(5);
  for (const char c : kUpgrade) loop_.receive(5, {&c, 1});
  worker().turn();
  EXPECT_THAT(loop_.sent[5], HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  EXPECT_EQ(counters_.connections.read(), 1u);
}

TEST_F(WorkerTest, TakesFramesThatCameWithTheRequest) {
  loop_.accept(5);
  loop_.receive(5, std::string(kUpgrade) + client_frame(protocol::Opcode::kText, "hi"));
  worker().turn();
  EXPECT_TRUE(loop_.sent[5].ends_with("\x81\x02hi"));
}

TEST_F(WorkerTest, EchoesSeveralMessagesOfATurnInTheirOrder) {
  open(5);
  for (const char* text : {"a", "b", "c"})
    loop_.receive(5, client_frame(protocol::Opcode::kText, text));
  worker().turn();
  EXPECT_EQ(loop_.sent[5],
            "\x81\x01"
            "a"
            "\x81\x01"
            "b"
            "\x81\x01"
            "c");
}

TEST_F(WorkerTest, PingsEachIdlePeerOnceAnIntervalEvenly) {
  for (int descriptor = 5; descriptor < 205; ++descriptor) open(descriptor);
  std::uint64_t most = 0;
  for (int second = 0; second < 60; ++second) {
    if (second == 20) most = 0;  // by then every peer has come into step
    const std::uint64_t sent = counters_.pings_sent.read();
    for (int descriptor = 5; descriptor < 205; ++descriptor)
      loop_.receive(descriptor, client_frame(protocol::Opcode::kPong, ""));
    pass(seconds(1));
    most = std::max(most, counters_.pings_sent.read() - sent);
  }
  EXPECT_LE(most, 11u) << "200 peers in 20 seconds are 10 a second";
  EXPECT_EQ(counters_.pongs_missed.read(), 0u);
  EXPECT_EQ(counters_.connections.read(), 200u);
}

// Some clients answer a ping in the middle of the message that they are sending.
TEST_F(WorkerTest, PingsNoNewcomerThatIsTalking) {
  for (int descriptor = 5; descriptor < 1000; descriptor += 64) open(descriptor);
  for (int half = 0; half < 36; ++half) {
    for (int descriptor = 5; descriptor < 1000; descriptor += 64)
      loop_.receive(descriptor,
                    half == 0 ? std::string("\x01\xFE\xFF\xFF") + std::string(4, 'k') : "x");
    pass(milliseconds(500));
  }
  EXPECT_EQ(counters_.pings_sent.read(), 0u);
  pass(seconds(20));
  EXPECT_EQ(counters_.pings_sent.read(), 16u) << "now they are silent";
}

// Spoke when its phase came, and was silent from then on.
TEST_F(WorkerTest, PingsANewcomerWithinTheIntervalWheneverItSpokeLast) {
  for (int spoke = 0; spoke < 80; ++spoke) {
    const int descriptor = 5 + spoke;
    open(descriptor);
    pass(milliseconds(250));
    loop_.receive(descriptor, client_frame(protocol::Opcode::kText, ""));
    worker().turn();
    loop_.sent[descriptor].clear();
    Duration silent{};
    while (loop_.sent[descriptor].empty()) {
      pass(milliseconds(50));
      silent += milliseconds(50);
      ASSERT_LE(silent, seconds(20) + milliseconds(200)) << spoke;
    }
    loop_.end(descriptor);
    worker().turn();
  }
}

// Its ping lies behind what it reads, too far for the pong to come in time.
TEST_F(WorkerTest, DropsNoSlowReaderThatReads) {
  settings_.queue_bytes_max = 100'000;
  open(5);
  loop_.limit(5, 0);
  worker().publish("news", MessageKind::kText, as_bytes(std::string(60'000, 'x')));
  worker().turn();
  for (int second = 0; second < 59; ++second) {
    make_room(5, 1000);
    loop_.limit(5, 0);
    pass(seconds(1));
  }
  ASSERT_GT(counters_.pings_sent.read(), 0u);
  ASSERT_EQ(counters_.connections.read(), 1u);
  make_room(5, 2000);  // the ping is out
  pass(seconds(4));
  EXPECT_EQ(counters_.connections.read(), 1u) << "it has pong_timeout from now on";
  pass(seconds(2));
  EXPECT_EQ(counters_.connections.read(), 0u);
  EXPECT_EQ(counters_.pongs_missed.read(), 1u);
}

TEST_F(WorkerTest, DropsASlowReaderThatReadsNoMore) {
  settings_.queue_bytes_max = 100'000;
  open(5);
  loop_.limit(5, 0);
  worker().publish("news", MessageKind::kText, as_bytes(std::string(60'000, 'x')));
  for (int second = 0; second < 15; ++second) {
    make_room(5, 1000);
    loop_.limit(5, 0);
    pass(seconds(1));
  }
  EXPECT_EQ(counters_.connections.read(), 1u);
  pass(seconds(20));
  EXPECT_EQ(counters_.connections.read(), 0u);
  EXPECT_EQ(counters_.pongs_missed.read(), 1u);
}

TEST_F(WorkerTest, DropsAPeerThatStaysSilentWithinIntervalAndTimeout) {
  open(5);
  open(6);
  Duration silent{};
  while (!loop_.closed.contains(5) && silent < seconds(60)) {
    pass(milliseconds(100));
    silent += milliseconds(100);
    if (loop_.sent[6].ends_with(kPing)) {
      loop_.receive(6, client_frame(protocol::Opcode::kPong, ""));
      loop_.sent[6].clear();
    }
  }
  EXPECT_LE(silent, seconds(25) + milliseconds(300));
  EXPECT_EQ(loop_.sent[5], kPing);
  EXPECT_EQ(counters_.of(Ending::kPongMissed).read(), 1u);
  EXPECT_EQ(echo_->codes, std::vector<int>{1006});
  EXPECT_FALSE(loop_.closed.contains(6));
}

TEST_F(WorkerTest, AnswersASlowHeadWith408) {
  loop_.accept(5);
  loop_.receive(5, "GET /echo HT");
  worker().turn();
  pass(seconds(11));
  EXPECT_THAT(loop_.sent[5], StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(loop_.shut.contains(5));
  pass(seconds(2));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.descriptors.read(), 0u);
}

TEST_F(WorkerTest, RefusesOverTheLimitWith503AndFreesThePlaceOfOneThatLeaves) {
  settings_.connections_max = 500;
  for (int descriptor = 5; descriptor < 505; ++descriptor) open(descriptor);
  const std::string answer = come(600, kUpgrade);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 5\r\n"));
  loop_.end(5);
  loop_.end(600);
  worker().turn();
  open(601);
}

TEST_F(WorkerTest, DeliversAPublicationToEverySubscriberAndKeepsWhatASocketDidNotTake) {
  open(5);
  open(6);
  loop_.limit(6, 3);
  const std::string text(100, 'x');
  worker().publish("news", MessageKind::kText, as_bytes(text));
  worker().publish("other", MessageKind::kText, as_bytes("not wanted"));
  worker().turn();
  const std::string wire = "\x81\x64" + text;
  EXPECT_EQ(loop_.sent[5], wire);
  EXPECT_EQ(loop_.sent[6], wire.substr(0, 3));
  EXPECT_TRUE(loop_.wants_writable.contains(6));
  EXPECT_EQ(counters_.queued_bytes.read(), wire.size() - 3);
  worker().publish("news", MessageKind::kText, as_bytes("2"));
  worker().turn();
  loop_.limit(6, 10'000);
  loop_.make_writable(6);
  worker().turn();
  EXPECT_EQ(loop_.sent[6], wire +
                               "\x81\x01"
                               "2");
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, SendsWhatIsDueInOneTurnInOnePieceAndPartsItForASlowReader) {
  open(5);
  open(6);
  loop_.limit(6, 7);
  for (const char* text : {"one", "two", "three"})
    worker().publish("news", MessageKind::kText, as_bytes(std::string_view(text)));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x81\x03one\x81\x03two\x81\x05three");
  EXPECT_EQ(loop_.sends[5], 2);  // the handshake, and this
  EXPECT_EQ(counters_.deliveries.read(), 6u);
  EXPECT_EQ(loop_.sent[6], "\x81\x03one\x81\x03");
  loop_.limit(6, 100);
  loop_.make_writable(6);
  worker().turn();
  EXPECT_EQ(loop_.sent[6], loop_.sent[5]);
}

TEST_F(WorkerTest, GathersTheMessagesOfAWindowForThoseWhoAskForIt) {
  echo_->options = {.window = milliseconds(5)};
  open(5);
  worker().publish("news", MessageKind::kText, as_bytes("1"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "");
  worker().turn();
  EXPECT_EQ(loop_.last_deadline, loop_.now() + milliseconds(5));
  worker().publish("news", MessageKind::kText, as_bytes("2"));
  loop_.advance(milliseconds(4));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "");
  loop_.advance(milliseconds(1));
  worker().turn();
  EXPECT_EQ(loop_.sent[5],
            "\x81\x01"
            "1\x81\x01"
            "2");
  loop_.end(5);
  worker().turn();
  EXPECT_EQ(broker_.publish(make_publication("news", MessageKind::kText, as_bytes("3"), {})), 0u);
  EXPECT_FALSE(mailbox_.next()) << "the last subscriber took the worker's interest along";
}

TEST_F(WorkerTest, SendsOnlyTheNewestOfEachKeyInAConflatedWindow) {
  echo_->options = {.window = milliseconds(5), .conflate = true};
  open(5);
  for (const char* price : {"a1", "b1", "a2", "a3"}) {
    worker().publish("news", MessageKind::kText, as_bytes(std::string_view(price)),
                     {.key = std::string_view(price, 1)});
  }
  worker().turn();
  loop_.advance(milliseconds(5));
  worker().turn();
  EXPECT_EQ(loop_.sent[5],
            "\x81\x02"
            "b1\x81\x02"
            "a3");
  EXPECT_EQ(counters_.messages_conflated.read(), 2u);
}

TEST_F(WorkerTest, ReplacesOlderValuesInASlowReadersQueueWhereThatIsThePolicy) {
  settings_.drop_oldest = settings_.conflate = true;
  open(5);
  loop_.limit(5, 2);
  for (const char* price : {"a1", "b1", "a2", "b2", "a3"}) {
    worker().publish("news", MessageKind::kText, as_bytes(std::string_view(price)),
                     {.key = std::string_view(price, 1)});
    worker().turn();
  }
  EXPECT_EQ(counters_.messages_conflated.read(), 2u);  // a1 had begun to leave
  loop_.limit(5, 1000);
  loop_.make_writable(5);
  worker().turn();
  EXPECT_EQ(loop_.sent[5],
            "\x81\x02"
            "a1\x81\x02"
            "b2\x81\x02"
            "a3");
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, ShowsASlowReaderNewerValuesInTheOrderOfTheirBirth) {
  settings_.drop_oldest = settings_.conflate = true;
  open(5);
  loop_.limit(5, 0);
  for (const char* price : {"a1", "b1", "c1", "b2", "a2"}) {
    worker().publish("news", MessageKind::kText, as_bytes(std::string_view(price)),
                     {.key = std::string_view(price, 1)});
    worker().turn();
  }
  make_room(5, 1000);
  EXPECT_EQ(loop_.sent[5],
            "\x81\x02"
            "c1\x81\x02"
            "b2\x81\x02"
            "a2");
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, ClosesAPeerThatTalksTooFast) {
  settings_.message_rate_max = 3;
  open(5);
  open(6);
  for (int i = 0; i < 4; ++i)
    loop_.receive(5, client_frame(protocol::Opcode::kText, std::to_string(i)));
  for (int i = 0; i < 3; ++i)
    loop_.receive(6, client_frame(protocol::Opcode::kText, std::to_string(i)));
  worker().turn();
  EXPECT_THAT(loop_.sent[5], StartsWith("\x81\x01"
                                        "0\x81\x01"
                                        "1\x81\x01"
                                        "2\x88"));
  EXPECT_THAT(loop_.sent[5], HasSubstr("\x03\xF0too many messages"));
  EXPECT_EQ(loop_.sent[6],
            "\x81\x01"
            "0\x81\x01"
            "1\x81\x01"
            "2");
  EXPECT_EQ(counters_.of(Ending::kTooFast).read(), 1u);
}

TEST_F(WorkerTest, ClosesAPeerThatSaysTooManyBytes) {
  settings_.byte_rate_max = 1000;
  open(5);
  open(6);
  const std::string message(400, 'x');
  for (int i = 0; i < 3; ++i) loop_.receive(5, client_frame(protocol::Opcode::kText, message));
  for (int i = 0; i < 2; ++i) loop_.receive(6, client_frame(protocol::Opcode::kText, message));
  worker().turn();
  const std::string echo = "\x81\x7E\x01\x90" + message;
  EXPECT_THAT(loop_.sent[5], StartsWith(echo + echo + "\x88"));
  EXPECT_THAT(loop_.sent[5], HasSubstr("\x03\xF0too many messages"));
  EXPECT_EQ(loop_.sent[6], echo + echo);
  EXPECT_EQ(counters_.of(Ending::kTooFast).read(), 1u);
}

TEST_F(WorkerTest, DisconnectsAReaderThatIsTooSlow) {
  open(5);
  loop_.limit(5, 0);
  for (int i = 0; i < 11; ++i)
    worker().publish("news", MessageKind::kText, as_bytes(std::string(100, 'x')));
  worker().turn();
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.of(Ending::kQueueFull).read(), 1u);
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, DropsTheOldestMessagesOfASlowReaderWhereThatIsThePolicy) {
  settings_.drop_oldest = true;
  open(5);
  loop_.limit(5, 0);
  for (int i = 0; i < 30; ++i)
    worker().publish("news", MessageKind::kText,
                     as_bytes(std::string(100, static_cast<char>('A' + i))));
  worker().turn();
  EXPECT_FALSE(loop_.closed.contains(5));
  EXPECT_LE(counters_.queued_bytes.read(), 1000u);
  EXPECT_EQ(counters_.messages_dropped.read(), 21u);
  loop_.limit(5, 10'000);
  loop_.make_writable(5);
  worker().turn();
  EXPECT_EQ(loop_.sent[5].substr(2, 1), std::string(1, 'A' + 21));
}

TEST_F(WorkerTest, EndsTheCloseHandshakeOfAPeer) {
  open(5);
  loop_.receive(5, client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x88\x02\x03\xe8");
  EXPECT_TRUE(loop_.shut.contains(5)) << "the server ends TCP first";
  EXPECT_FALSE(loop_.closed.contains(5))
      << "but reads on, so that nothing that comes can reset what it said";
  EXPECT_EQ(echo_->codes, std::vector<int>{1000});
  EXPECT_EQ(counters_.of(Ending::kPeerClosed).read(), 1u);
  EXPECT_EQ(counters_.connections.read(), 0u);
  loop_.receive(5, client_frame(protocol::Opcode::kText, "one more thing"));
  loop_.end(5);
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x88\x02\x03\xe8");
  EXPECT_TRUE(loop_.closed.contains(5));
}

TEST_F(WorkerTest, AnswersAPeerThatEndsItsSideRightBehindItsWords) {
  open(5);
  loop_.receive(5, client_frame(protocol::Opcode::kText, "hi") +
                       client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  loop_.end(5);
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x81\x02hi\x88\x02\x03\xe8");
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(echo_->codes, std::vector<int>{1000});

  open(6);
  loop_.receive(6, client_frame(protocol::Opcode::kText, "hi"));
  loop_.end(6);
  worker().turn();
  EXPECT_EQ(loop_.sent[6], "\x81\x02hi");
  EXPECT_TRUE(loop_.closed.contains(6));
  EXPECT_EQ(echo_->codes, (std::vector<int>{1000, 1006}));
  EXPECT_EQ(counters_.of(Ending::kPeerLeft).read(), 1u);
  EXPECT_EQ(counters_.connections.read(), 0u);
  EXPECT_EQ(counters_.descriptors.read(), 0u);
}

TEST_F(WorkerTest, AnswersARequestOfAPeerThatEndsItsSideRightBehindIt) {
  loop_.accept(5);
  loop_.receive(5, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  loop_.end(5);
  worker().turn();
  EXPECT_THAT(loop_.sent[5], StartsWith("HTTP/1.1 404 "));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.descriptors.read(), 0u);
}

TEST_F(WorkerTest, EndsTcpAtOnceWhenThePeerAnswersItsClose) {
  open(5);
  worker().close(5, 1001, "", Ending::kDrained);
  worker().turn();
  EXPECT_FALSE(loop_.closed.contains(5));
  loop_.receive(5, client_frame(protocol::Opcode::kClose, "\x03\xe9"));
  worker().turn();
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(loop_.sent[5], "\x88\x02\x03\xe9");
}

TEST_F(WorkerTest, SaysAllToAPeerThatClosedAndReadsSlowly) {
  settings_.queue_bytes_max = 1'000'000;
  open(5);
  loop_.limit(5, 0);
  for (int i = 0; i < 3; ++i)
    loop_.receive(5, client_frame(protocol::Opcode::kText, std::string(60'000, 'x')));
  loop_.receive(5, client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  worker().turn();
  for (int i = 0; i < 11; ++i) {
    pass(milliseconds(800));
    ASSERT_FALSE(loop_.closed.contains(5))
        << "it reads: " << loop_.sent[5].size() << " bytes so far";
    make_room(5, 16'400);
  }
  EXPECT_EQ(loop_.sent[5].size(), 3 * 60'004u + 4);
  EXPECT_TRUE(loop_.sent[5].ends_with("\x88\x02\x03\xe8"));
  EXPECT_TRUE(loop_.shut.contains(5));
}

TEST_F(WorkerTest, LeavesAPeerThatClosedAndTakesAByteNowAndThen) {
  open(5);
  loop_.limit(5, 0);
  loop_.receive(5, client_frame(protocol::Opcode::kText, std::string(100, 'x')) +
                       client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  worker().turn();
  for (int i = 0; i < 6; ++i) {
    pass(milliseconds(500));
    make_room(5, 1);
  }
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, EndsADrainInItsTimeHoweverMuchAPeerIsStillTaking) {
  settings_.queue_bytes_max = 1'000'000;
  settings_.drain_time = seconds(2);
  open(5);
  open(6);
  loop_.limit(5, 0);
  for (int i = 0; i < 10; ++i)
    loop_.receive(5, client_frame(protocol::Opcode::kText, std::string(60'000, 'x')));
  worker().turn();
  worker().drain();
  for (int i = 0; i < 5; ++i) {
    pass(milliseconds(550));
    make_room(5, 100'000);
    ASSERT_FALSE(worker().is_empty()) << "it has all the time that there is";
  }
  pass(milliseconds(300));
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(counters_.of(Ending::kDrained).read(), 2u);
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, TellsEverybodyOfADrainThoughAStallLeftItNoTime) {
  open(5);
  worker().drain();
  loop_.advance(seconds(60));
  worker().turn();
  EXPECT_THAT(loop_.sent[5], HasSubstr("server is going away"));
  EXPECT_FALSE(loop_.closed.contains(5));
  pass(milliseconds(100));
  EXPECT_TRUE(worker().is_empty());
}

TEST_F(WorkerTest, LeavesAPeerThatClosedAndDoesNotRead) {
  open(5);
  loop_.limit(5, 10);
  loop_.receive(5, client_frame(protocol::Opcode::kText, std::string(100, 'x')) +
                       client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  worker().turn();
  pass(milliseconds(1100));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, ClosesAViolatorWithTheCodeAndReadsNoMore) {
  open(5);
  loop_.receive(5, "\x81\x01x");  // not masked
  loop_.receive(5, client_frame(protocol::Opcode::kText, "later"));
  worker().turn();
  EXPECT_THAT(loop_.sent[5], StartsWith("\x88"));
  EXPECT_EQ(loop_.sent[5].substr(2, 2), "\x03\xea");
  EXPECT_TRUE(loop_.shut.contains(5));
  pass(seconds(2));
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.of(Ending::kViolation).read(), 1u);
}

TEST_F(WorkerTest, DrainsEvenlyAndRefusesNewcomers) {
  settings_.ping_interval = Duration(0);
  for (int descriptor = 5; descriptor < 105; ++descriptor) open(descriptor);
  admission_->drain();
  worker().drain();
  pass(seconds(5));
  int told = 0;
  for (int descriptor = 5; descriptor < 105; ++descriptor)
    told += loop_.sent[descriptor].starts_with("\x88") ? 1 : 0;
  EXPECT_NEAR(told, 47, 8);
  pass(seconds(8));
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(counters_.of(Ending::kDrained).read(), 100u);
}

TEST_F(WorkerTest, SleepsForeverWithNothingToDo) {
  worker().turn();
  EXPECT_EQ(loop_.last_deadline, kNever);
}

TEST_F(WorkerTest, SaysNothingBehindACloseWhateverTheHandlerTries) {
  const auto stubborn = std::make_shared<Stubborn>();
  router_.add("/stubborn", stubborn);
  loop_.accept(5);
  std::string request(kUpgrade);
  loop_.receive(5, request.replace(request.find("/echo"), 5, "/stubborn"));
  worker().turn();
  loop_.sent[5].clear();
  loop_.receive(5, client_frame(protocol::Opcode::kClose, "\x03\xe8"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x88\x02\x03\xe8");
  EXPECT_EQ(stubborn->closes, 1);
}

TEST_F(WorkerTest, GivesTheNextPeerOfADescriptorNoSubscriptionOfTheLast) {
  router_.add("/stubborn", std::make_shared<Stubborn>());
  std::string request(kUpgrade);
  loop_.accept(5);
  loop_.receive(5, request.replace(request.find("/echo"), 5, "/stubborn"));
  loop_.end(5);
  worker().turn();
  loop_.accept(5);
  loop_.receive(5, request);
  worker().turn();
  loop_.sent[5].clear();
  worker().publish("news", MessageKind::kText, as_bytes("not for you"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "");
}

TEST_F(WorkerTest, DropsNobodyWhosePongLiesUnreadAfterAStall) {
  open(5);
  loop_.sent[5].clear();
  while (loop_.sent[5].empty()) pass(milliseconds(50));
  loop_.advance(seconds(30));
  loop_.be_behind(true);
  worker().turn();
  EXPECT_FALSE(loop_.closed.contains(5));
  loop_.be_behind(false);
  loop_.receive(5, client_frame(protocol::Opcode::kPong, ""));
  worker().turn();
  EXPECT_FALSE(loop_.closed.contains(5));
}

TEST_F(WorkerTest, IsPatientWithTheSilentNoMoreThanTwiceHoweverFarItIsBehind) {
  open(5);
  loop_.be_behind(true);
  pass(seconds(20) + 2 * seconds(5) + seconds(2));
  EXPECT_TRUE(loop_.closed.contains(5));
}

TEST_F(WorkerTest, GathersNothingMoreWhileItIsBehind) {
  open(5);
  pass(seconds(3));
  for (int i = 0; i < 1000; ++i) loop_.receive(5, client_frame(protocol::Opcode::kPong, ""));
  pass(milliseconds(1050));
  loop_.advance(milliseconds(1));
  worker().turn();
  EXPECT_GT(loop_.last_not_before, Instant()) << "pongs alone are gathered";
  loop_.be_behind(true);
  worker().turn();
  worker().turn();
  EXPECT_EQ(loop_.last_not_before, Instant());
}

TEST_F(WorkerTest, EndsOneThatAsksOnAndTakesNoAnswer) {
  router_.add("/page", std::make_shared<Page>());
  loop_.accept(5);
  loop_.limit(5, 0);
  for (int i = 0; i < 100 && !loop_.closed.contains(5); ++i) {
    loop_.receive(5, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    worker().turn();
    EXPECT_LE(counters_.queued_bytes.read(), 1'400u);
  }
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerTest, CountsAsRefusedWhoIsDrainedBeforeItsRequestAndNotWhoWasAnswered) {
  router_.add("/page", std::make_shared<Page>());
  loop_.accept(5);
  loop_.accept(6);
  loop_.accept(7);
  loop_.receive(6, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  loop_.receive(7, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  worker().turn();
  loop_.end(7);
  worker().drain();
  pass(seconds(11));
  EXPECT_EQ(counters_.of(Refusal::kDraining).read(), 1u);
  EXPECT_EQ(counters_.of(Refusal::kLeft).read(), 0u);
  EXPECT_EQ(counters_.requests.read(), 2u);
}

}  // namespace
}  // namespace holdfast::server
