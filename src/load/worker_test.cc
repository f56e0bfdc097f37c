#include "load/worker.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "client/fake_loop.h"
#include "load/message.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

client::FakeLoop* clock_of_test = nullptr;
Instant test_clock() { return clock_of_test->time; }

// A worker over a fake loop, with the server's side played by hand.
class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    clock_of_test = &loop_;
    options_.connections = 3;
    target_ = *client::Target::parse("ws://127.0.0.9:8080/room");
  }

  void start(Traffic traffic = Traffic::kNone) {
    sources_ = *SourcePlan::make("auto", target_.address, PortRange{}, options_.connections, {});
    WorkerPlan plan;
    plan.options = &options_;
    plan.target = &target_;
    plan.sources = &sources_;
    plan.connections = static_cast<std::uint32_t>(options_.connections);
    plan.rate = options_.rate;
    plan.traffic = traffic;
    plan.publishes = traffic == Traffic::kPublish;
    plan.run = 77;
    plan.seed = 5;
    plan.origin = loop_.time;
    plan.clock = test_clock;
    worker_.emplace(plan, loop_, baton_, live_);
  }
  void pass(Phase phase) {
    baton_.pass(phase);
    loop_.coming.push_back({net::Completion::Kind::kWoken});
    worker_->turn();
  }
  void turn() { worker_->turn(); }
  void turn_at(Duration later) {
    loop_.time += later;
    loop_.coming.push_back({net::Completion::Kind::kWoken});
    worker_->turn();
  }

  // The server's answer to the request that this connection has sent.
  std::string answer_of(net::Descriptor descriptor) {
    const std::string request = loop_.take_sent(descriptor);
    protocol::HttpLimits limits;
    protocol::HttpRequestParser parser(&limits);
    Bytes input = as_bytes(request);
    EXPECT_EQ(parser.feed(input), protocol::HttpProgress::kDone) << request;
    const auto verdict = protocol::judge_handshake(parser.request());
    EXPECT_EQ(verdict.status, 101);
    EXPECT_EQ(parser.request().target, "/room");
    std::array<std::byte, protocol::kHandshakeResponseBytesMax> out;
    const std::size_t size = protocol::write_handshake_response(out.data(), verdict.key);
    return std::string(as_text(Bytes(out).first(size)));
  }
  void accept(net::Descriptor descriptor) {
    loop_.connected(descriptor);
    turn();
    loop_.received(descriptor, answer_of(descriptor));
    turn();
  }
  // All connections, one by one at the pace.
  void open_all() {
    pass(Phase::kOpen);
    for (std::uint64_t i = 0; i < options_.connections; ++i) {
      if (i >= loop_.connects.size()) turn_at(milliseconds(10));
      accept(loop_.connects.at(i).descriptor);
    }
    EXPECT_TRUE(live_.phase_done.load());
    EXPECT_EQ(live_.open.load(), options_.connections);
  }
  WorkerOutcome finish() {
    pass(Phase::kLeave);
    for (int i = 0; i < 100 && !worker_->finished(); ++i) turn();
    return worker_->take_outcome();
  }
  net::Descriptor peer(std::size_t index) { return loop_.connects.at(index).descriptor; }

  // What a masked frame of the client carries.
  std::string unmasked(std::string frame) {
    const std::size_t length_bytes = (static_cast<unsigned char>(frame[1]) & 0x7f) == 126 ? 2 : 0;
    protocol::MaskKey key;
    std::memcpy(key.data(), frame.data() + 2 + length_bytes, 4);
    std::string payload = frame.substr(6 + length_bytes);
    protocol::apply_mask({reinterpret_cast<std::byte*>(payload.data()), payload.size()}, key);
    return payload;
  }
  std::string server_frame(protocol::Opcode opcode, std::string_view payload) {
    std::array<std::byte, protocol::kFrameHeaderBytesMax> head;
    const std::size_t size =
        protocol::write_frame_header(head.data(), opcode, true, payload.size());
    return std::string(as_text(Bytes(head).first(size))) + std::string(payload);
  }
  std::string message_text(const Message& message) {
    std::string text(options_.message_bytes, '\0');
    write_message({reinterpret_cast<std::byte*>(text.data()), text.size()}, message);
    return text;
  }

  client::FakeLoop loop_;
  LoadOptions options_;
  client::Target target_;
  SourcePlan sources_;
  Baton baton_;
  LiveCounters live_;
  std::optional<Worker> worker_;
};

TEST_F(WorkerTest, OpensAtThePaceFromItsSources) {
  options_.rate = 10;
  start();
  pass(Phase::kOpen);
  EXPECT_EQ(loop_.connects.size(), 1u);
  EXPECT_EQ(loop_.connects[0].from, "127.16.0.1");
  EXPECT_EQ(loop_.connects[0].to, "127.0.0.9:8080");
  turn_at(milliseconds(99));
  EXPECT_EQ(loop_.connects.size(), 1u);
  turn_at(milliseconds(1));
  EXPECT_EQ(loop_.connects.size(), 2u);
  EXPECT_FALSE(live_.phase_done.load());
}

TEST_F(WorkerTest, HasNoMoreOpensUnderWayThanAllowed) {
  options_.rate = 0;
  options_.in_flight = 2;
  start();
  pass(Phase::kOpen);
  EXPECT_EQ(loop_.connects.size(), 2u);
  accept(peer(0));
  EXPECT_EQ(loop_.connects.size(), 3u);
}

TEST_F(WorkerTest, OpensHoldsAndLeaves) {
  start();
  open_all();
  pass(Phase::kHold);
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.opened, 3u);
  EXPECT_EQ(outcome.held, 3u);
  EXPECT_EQ(outcome.tally.lost_count, 0u);
  EXPECT_EQ(outcome.tally.opening.count(), 3u);
  EXPECT_TRUE(loop_.open.empty());
  EXPECT_EQ(loop_.reset_ones.size(), 3u);
}

TEST_F(WorkerTest, TakesAnAnswerInPieces) {
  options_.connections = 1;
  start();
  pass(Phase::kOpen);
  loop_.connected(peer(0));
  turn();
  const std::string answer = answer_of(peer(0)) + "\x89";
  for (const char byte : answer) {
    loop_.received(peer(0), std::string_view(&byte, 1));
    turn();
  }
  loop_.received(peer(0), std::string_view("\0", 1));
  turn();
  EXPECT_EQ(live_.open.load(), 1u);
  EXPECT_EQ(live_.pings.load(), 1u);
}

TEST_F(WorkerTest, HearsWhatCameBehindTheAnswer) {
  options_.connections = 1;
  start();
  pass(Phase::kOpen);
  loop_.connected(peer(0));
  turn();
  loop_.received(peer(0), answer_of(peer(0)) + std::string("\x89\0\x89\0", 4));
  turn();
  EXPECT_EQ(live_.pings.load(), 2u);
}

TEST_F(WorkerTest, CountsRefusalsByTheirReason) {
  options_.connections = 8;
  options_.rate = 0;
  start();
  pass(Phase::kOpen);
  ASSERT_EQ(loop_.connects.size(), 8u);
  loop_.connected(peer(0), ECONNREFUSED);
  for (std::size_t i = 1; i < 7; ++i) loop_.connected(peer(i));
  turn();
  loop_.received(peer(1), "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 500\r\n\r\n");
  loop_.received(peer(2), "SSH-2.0-OpenSSH_9.2\r\n");
  std::string wrong = answer_of(peer(3));
  wrong[wrong.find("Accept: ") + 8] ^= 1;
  loop_.received(peer(3), wrong);
  loop_.closed(peer(4));
  loop_.closed(peer(5), ECONNRESET);
  turn();
  turn_at(options_.open_timeout);
  const Reasons expected = {{"ECONNREFUSED", 1},
                            {"HTTP 503", 1},
                            {"malformed answer", 1},
                            {"wrong Sec-WebSocket-Accept", 1},
                            {"closed without an answer", 1},
                            {"ECONNRESET", 1},
                            {"timeout of the answer", 1},
                            {"timeout connecting", 1}};
  EXPECT_TRUE(live_.phase_done.load());
  pass(Phase::kHold);
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.tally.refused_by_reason, expected);
  EXPECT_EQ(outcome.held, 0u);
  EXPECT_TRUE(loop_.open.empty());
}

TEST_F(WorkerTest, CountsWhatTheMachineRefuses) {
  options_.rate = 0;
  start();
  loop_.connect_error = EADDRNOTAVAIL;
  pass(Phase::kOpen);
  pass(Phase::kHold);
  EXPECT_EQ(finish().tally.refused_by_reason, (Reasons{{"EADDRNOTAVAIL", 3}}));
}

TEST_F(WorkerTest, AnswersPingsWithMaskedPongs) {
  start();
  open_all();
  pass(Phase::kHold);
  loop_.received(peer(0), std::string_view("\x89\0", 2));
  loop_.received(peer(1), server_frame(protocol::Opcode::kPing, "hi"));
  turn();
  const std::string empty = loop_.take_sent(peer(0));
  ASSERT_EQ(empty.size(), 6u);
  EXPECT_EQ(empty.substr(0, 2), "\x8a\x80");
  const std::string full = loop_.take_sent(peer(1));
  EXPECT_EQ(full.substr(0, 2), "\x8a\x82");
  EXPECT_EQ(unmasked(full), "hi");
  loop_.received(peer(1), std::string_view("\x89\0", 2));
  turn();
  const PingFacts pings = finish().pings;
  EXPECT_EQ(pings.total, 3u);
  EXPECT_EQ(pings.least, 0u);
  EXPECT_EQ(pings.most, 2u);
  EXPECT_EQ(pings.connections, 3u);
}

TEST_F(WorkerTest, CountsOnlyPingsOfTheHoldPerConnection) {
  start();
  open_all();
  loop_.received(peer(0), std::string_view("\x89\0", 2));
  turn();
  pass(Phase::kHold);
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.pings.total, 0u);
  EXPECT_EQ(outcome.tally.pings, 1u);
}

TEST_F(WorkerTest, CountsLossesByTheirReason) {
  options_.connections = 5;
  start();
  open_all();
  pass(Phase::kHold);
  loop_.received(peer(0), std::string_view("\x88\x02\x03\xe9", 4));
  loop_.received(peer(1), std::string_view("\x88\x00", 2));
  loop_.closed(peer(2));
  loop_.closed(peer(3), ECONNRESET);
  loop_.received(peer(4), std::string_view("\x8f\x00", 2));
  turn();
  EXPECT_EQ(loop_.take_sent(peer(0)).substr(0, 2), "\x88\x82");
  EXPECT_EQ(loop_.take_sent(peer(1)).substr(0, 2), "\x88\x80");
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.held, 0u);
  EXPECT_EQ(outcome.tally.server_closed, 4u);
  EXPECT_EQ(outcome.tally.lost_by_reason.size(), 5u);
  EXPECT_EQ(outcome.tally.lost_by_reason.at("close 1001"), 1u);
  EXPECT_EQ(outcome.tally.lost_by_reason.at("close 1005"), 1u);
  EXPECT_EQ(outcome.tally.lost_by_reason.at("closed without a Close frame"), 1u);
  EXPECT_EQ(outcome.tally.lost_by_reason.at("ECONNRESET"), 1u);
}

TEST_F(WorkerTest, ADeadSocketIsALoss) {
  start();
  open_all();
  pass(Phase::kHold);
  loop_.flush_error = EPIPE;
  loop_.received(peer(0), std::string_view("\x89\0", 2));
  turn();
  loop_.flush_error = 0;
  EXPECT_EQ(finish().tally.lost_by_reason, (Reasons{{"EPIPE", 1}}));
}

TEST_F(WorkerTest, KeepsHalfAFrameUntilItsRestComes) {
  start();
  open_all();
  pass(Phase::kHold);
  loop_.received(peer(0), "\x89");
  turn();
  EXPECT_EQ(live_.pings.load(), 0u);
  loop_.received(peer(1), std::string_view("\x89\0", 2));
  turn();
  loop_.received(peer(0), std::string_view("\0", 1));
  turn();
  EXPECT_EQ(live_.pings.load(), 2u);
}

TEST_F(WorkerTest, EchoesKeepTheScheduleAndAreChecked) {
  options_.connections = 2;
  options_.message_rate = 1;
  start(Traffic::kEcho);
  open_all();
  pass(Phase::kHold);
  const Instant began = loop_.time;
  turn_at(milliseconds(500));
  turn_at(milliseconds(520));
  // Every half second one of the two, 20 ms late at the end.
  const std::string first = loop_.take_sent(peer(0));
  const std::string second = loop_.take_sent(peer(1));
  ASSERT_EQ(second.size(), 6u + options_.message_bytes);
  const auto message = read_message(as_bytes(unmasked(second)));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->intended, began + milliseconds(500));
  EXPECT_EQ(message->sender, 1u);

  loop_.received(peer(1), server_frame(protocol::Opcode::kText, unmasked(second)));
  loop_.received(peer(0), server_frame(protocol::Opcode::kText, unmasked(second)));  // not its own
  loop_.received(
      peer(0), server_frame(protocol::Opcode::kText, unmasked(first.substr(0, first.size() / 2))));
  turn();
  loop_.received(peer(1), server_frame(protocol::Opcode::kText, unmasked(second)));  // once more
  turn();
  pass(Phase::kSettle);
  const MessageFacts facts = finish().tally.messages;
  EXPECT_EQ(facts.sent, 3u);
  EXPECT_EQ(facts.expected, 3u);
  EXPECT_EQ(facts.received, 2u);
  EXPECT_EQ(facts.wrong, 1u);
  EXPECT_EQ(facts.duplicates, 1u);
  // 20 ms late as it was sent, 500 ms + 20 ms after it should have left.
  EXPECT_NEAR(static_cast<double>(facts.latency.most().count()), 1.02e9, 2e6);
  EXPECT_NEAR(static_cast<double>(facts.lateness.most().count()), 2e7, 1e5);
}

TEST_F(WorkerTest, CountsEchoesThatASocketDoesNotTakeAsUnsent) {
  options_.connections = 1;
  options_.message_rate = 100;
  options_.message_bytes = 128 * 1024;
  start(Traffic::kEcho);
  open_all();
  loop_.room[peer(0)] = 0;
  pass(Phase::kHold);
  for (int i = 0; i < 10; ++i) turn_at(milliseconds(10));
  pass(Phase::kSettle);
  const MessageFacts facts = finish().tally.messages;
  EXPECT_EQ(facts.expected, 11u);
  EXPECT_GT(facts.unsent, 5u);
  EXPECT_EQ(facts.missing(), 11u);
}

TEST_F(WorkerTest, PublishesAndCountsDeliveries) {
  options_.connections = 2;
  options_.message_rate = 10;
  start(Traffic::kPublish);
  open_all();
  pass(Phase::kHold);
  ASSERT_EQ(loop_.connects.size(), 3u);
  const net::Descriptor publisher = peer(2);
  loop_.connected(publisher);
  turn();
  const std::string post = loop_.take_sent(publisher);
  EXPECT_EQ(post.substr(0, 21), "POST /room HTTP/1.1\r\n");
  const std::string body = post.substr(post.find("\r\n\r\n") + 4);
  const auto message = read_message(as_bytes(body));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->sender, 77u);

  loop_.received(publisher, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  loop_.received(peer(0), server_frame(protocol::Opcode::kText, body));
  loop_.received(peer(1), server_frame(protocol::Opcode::kText, body) +
                              server_frame(protocol::Opcode::kText, "from somebody else"));
  turn_at(milliseconds(5));
  pass(Phase::kSettle);
  EXPECT_TRUE(live_.phase_done.load());
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.expecting, 2u);
  EXPECT_EQ(outcome.tally.messages.sent, 1u);
  EXPECT_EQ(outcome.tally.messages.received, 2u);
  EXPECT_EQ(outcome.tally.messages.foreign, 1u);
  EXPECT_EQ(outcome.tally.messages.latency.least(), milliseconds(5));
  EXPECT_TRUE(loop_.open.empty());
}

TEST_F(WorkerTest, CountsPublicationsThatAreRefused) {
  options_.connections = 1;
  options_.message_rate = 10;
  start(Traffic::kPublish);
  open_all();
  pass(Phase::kHold);
  loop_.connected(peer(1));
  turn();
  loop_.received(peer(1),
                 "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  turn();
  turn_at(milliseconds(100));
  loop_.connected(peer(2), ECONNREFUSED);
  turn();
  pass(Phase::kSettle);
  const MessageFacts facts = finish().tally.messages;
  EXPECT_EQ(facts.refused, (Reasons{{"HTTP 403", 1}, {"no connection: ECONNREFUSED", 1}}));
}

TEST_F(WorkerTest, InAStormAllDropAndComeBackWithoutAPace) {
  options_.scenario = Scenario::kStorm;
  options_.rate = 100;
  start();
  open_all();
  pass(Phase::kHold);
  pass(Phase::kDrop);
  EXPECT_TRUE(live_.phase_done.load());
  EXPECT_TRUE(loop_.open.empty());
  pass(Phase::kOpen);
  ASSERT_EQ(loop_.connects.size(), 6u);

  // One is refused at first, and comes again after its delay.
  accept(peer(3));
  accept(peer(4));
  loop_.connected(peer(5), ECONNREFUSED);
  turn();
  EXPECT_FALSE(live_.phase_done.load());
  turn_at(options_.retry_delay);
  ASSERT_EQ(loop_.connects.size(), 7u);
  accept(peer(6));
  EXPECT_TRUE(live_.phase_done.load());
  pass(Phase::kHold);
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.opened, 3u);
  EXPECT_EQ(outcome.dropped, std::vector<std::uint64_t>{3});
  EXPECT_EQ(outcome.returned, std::vector<std::uint64_t>{3});
  EXPECT_EQ(outcome.refusals, std::vector<std::uint64_t>{1});
  EXPECT_EQ(outcome.held, 3u);
}

TEST_F(WorkerTest, GivesUpWhatIsUnderWayWhenOpeningEnds) {
  options_.rate = 10;
  start();
  pass(Phase::kOpen);
  accept(peer(0));
  turn_at(milliseconds(100));
  EXPECT_EQ(loop_.connects.size(), 2u);
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.held, 1u);
  EXPECT_EQ(outcome.never_tried, 1u);
  EXPECT_EQ(outcome.tally.refused_by_reason, (Reasons{{"given up", 1}}));
  EXPECT_TRUE(loop_.open.empty());
}

TEST_F(WorkerTest, SaysGoodbyeWhenToldToAndWaitsForTheServer) {
  options_.leave = Leave::kClose;
  start();
  open_all();
  pass(Phase::kHold);
  pass(Phase::kLeave);
  EXPECT_EQ(loop_.take_sent(peer(0)).substr(0, 2), "\x88\x82");
  EXPECT_FALSE(worker_->finished());
  loop_.closed(peer(0));
  loop_.closed(peer(1));
  turn();
  EXPECT_FALSE(worker_->finished());
  turn_at(seconds(3));
  EXPECT_TRUE(worker_->finished());
  EXPECT_EQ(loop_.reset_ones, std::set<net::Descriptor>{peer(2)});
  const WorkerOutcome outcome = worker_->take_outcome();
  EXPECT_EQ(outcome.held, 3u);
  EXPECT_EQ(outcome.tally.lost_count, 0u);
}

TEST_F(WorkerTest, KeepsASeriesOfSeconds) {
  options_.rate = 1;
  start();
  pass(Phase::kOpen);
  accept(peer(0));
  turn_at(seconds(1));
  accept(peer(1));
  turn_at(seconds(1));
  accept(peer(2));
  pass(Phase::kHold);
  turn_at(seconds(4));
  const WorkerOutcome outcome = finish();
  const auto& seconds_of_it = outcome.tally.seconds;
  ASSERT_EQ(seconds_of_it.size(), 7u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seconds_of_it[i].opened, 1u) << i;
    EXPECT_EQ(seconds_of_it[i].open, i + 1) << i;
  }
  EXPECT_EQ(seconds_of_it[5].open, 3u);
  EXPECT_EQ(seconds_of_it[6].open, 0u);
}

}  // namespace
}  // namespace holdfast::load
