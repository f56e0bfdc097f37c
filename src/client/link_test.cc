#include "client/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/fake_loop.h"
#include "protocol/handshake.h"

namespace holdfast::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;
using Kind = ClientEvent::Kind;

constexpr net::Descriptor kSocket = 10;  // the fake's first

// A server's frame.
std::string frame(protocol::Opcode opcode, std::string_view payload, bool final = true) {
  std::byte header[protocol::kFrameHeaderBytesMax];
  const std::size_t size = protocol::write_frame_header(header, opcode, final, payload.size());
  return std::string(as_text({header, size})) + std::string(payload);
}

// What a client's frames say: "opcode:payload" each.
std::vector<std::string> read_frames(std::string bytes) {
  protocol::SessionLimits limits;
  protocol::Session server(protocol::Role::kServer, &limits);
  MutableBytes input(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  std::vector<std::string> said;
  while (const auto event = server.next(input)) {
    constexpr std::array kNames = {"text", "binary", "ping", "pong", "close", "violation"};
    std::string text = std::string(kNames[static_cast<std::size_t>(event->kind)]) + ":";
    text += event->kind == protocol::Event::Kind::kClose
                ? std::to_string(event->code) + std::string(event->reason)
                : std::string(as_text(event->payload));
    said.push_back(text);
  }
  return said;
}

class LinkTest : public testing::Test {
 protected:
  Link& link() {
    if (!link_) link_.emplace(loop_, options_);
    return *link_;
  }
  std::optional<ClientEvent> next(Duration longest = milliseconds(0)) {
    return link().next(longest);
  }
  // The request that the client sent.
  std::string connect(std::string_view url = "ws://127.0.0.9:8080/room?a=b") {
    EXPECT_EQ(link().connect(url), std::nullopt);
    EXPECT_FALSE(next());
    loop_.connected(kSocket);
    EXPECT_FALSE(next());
    return loop_.take_sent(kSocket);
  }
  static std::string key_of(const std::string& request) {
    const std::string_view name = "Sec-WebSocket-Key: ";
    return request.substr(request.find(name) + name.size(), protocol::kKeyBytes);
  }
  static std::string acceptance(const std::string& request, std::string_view subprotocol = {}) {
    std::byte out[protocol::kHandshakeResponseBytesMax];
    return std::string(
        as_text({out, protocol::write_handshake_response(out, key_of(request), subprotocol)}));
  }
  void open() {
    loop_.received(kSocket, acceptance(connect()));
    const auto event = next();
    ASSERT_TRUE(event);
    ASSERT_EQ(event->kind, Kind::kOpen) << event->reason;
  }

  FakeLoop loop_;
  ClientOptions options_;
  std::optional<Link> link_;
};

TEST_F(LinkTest, AsksForWhatItWasToldToAndOpens) {
  options_.subprotocols = {"v2", "v1"};
  options_.headers = {{"Authorization", "Bearer x"}};
  const std::string request = connect();
  EXPECT_THAT(request, StartsWith("GET /room?a=b HTTP/1.1\r\nHost: 127.0.0.9:8080\r\n"));
  EXPECT_THAT(request,
              HasSubstr("\r\nSec-WebSocket-Protocol: v2, v1\r\nAuthorization: Bearer x\r\n\r\n"));
  EXPECT_FALSE(link().is_open());
  loop_.received(kSocket, acceptance(request, "v1"));
  EXPECT_EQ(next()->kind, Kind::kOpen);
  EXPECT_TRUE(link().is_open());
  EXPECT_EQ(link().subprotocol(), "v1");
}

TEST_F(LinkTest, ReadsMessagesThatCameWithTheAnswerOneByOne) {
  const std::string request = connect();
  loop_.received(kSocket, acceptance(request) + frame(protocol::Opcode::kText, "one") +
                              frame(protocol::Opcode::kBinary, "two"));
  EXPECT_EQ(next()->kind, Kind::kOpen);
  const auto first = next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, Kind::kText);
  EXPECT_EQ(as_text(first->payload), "one");
  const auto second = next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->kind, Kind::kBinary);
  EXPECT_EQ(as_text(second->payload), "two");
  EXPECT_FALSE(next());
}

TEST_F(LinkTest, ReadsTheSameWhenEverythingComesByteByByte) {
  const std::string request = connect();
  const std::string all = acceptance(request) + frame(protocol::Opcode::kText, "o", false) +
                          frame(protocol::Opcode::kPing, "?") +
                          frame(protocol::Opcode::kContinuation, "ne");
  for (const char& c : all) loop_.received(kSocket, {&c, 1});
  EXPECT_EQ(next()->kind, Kind::kOpen);
  EXPECT_EQ(as_text(next()->payload), "one");
  EXPECT_FALSE(next());
  EXPECT_THAT(read_frames(loop_.take_sent(kSocket)), testing::ElementsAre("pong:?"));
}

TEST_F(LinkTest, SendsMaskedMessagesWhenItIsAskedForTheNextEvent) {
  EXPECT_FALSE(link().send(MessageKind::kText, as_bytes("too early")));
  open();
  EXPECT_TRUE(link().send(MessageKind::kText, as_bytes("hello")));
  EXPECT_TRUE(
      link().send(MessageKind::kBinary, as_bytes(std::string(70'000, 'x').substr(0, 60'000))));
  EXPECT_EQ(loop_.sent[kSocket], "");
  EXPECT_FALSE(next());
  const auto said = read_frames(loop_.take_sent(kSocket));
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0], "text:hello");
  EXPECT_EQ(said[1], "binary:" + std::string(60'000, 'x'));
}

TEST_F(LinkTest, NoTwoMasksAreAlike) {
  open();
  std::set<std::string> masks;
  for (int i = 0; i < 1000; ++i) {
    link().send(MessageKind::kText, as_bytes("x"));
    next();
    masks.insert(loop_.take_sent(kSocket).substr(2, 4));
  }
  EXPECT_GE(masks.size(), 999u);
}

TEST_F(LinkTest, GoesOnWhereAFullSocketStopped) {
  open();
  loop_.room[kSocket] = 3;
  link().send(MessageKind::kText, as_bytes("hello"));
  EXPECT_FALSE(next());
  EXPECT_EQ(link().queued_bytes(), 8u);
  link().send(MessageKind::kText, as_bytes("again"));
  EXPECT_FALSE(next()) << "not tried while the socket is full";
  EXPECT_TRUE(loop_.wants_writable.contains(kSocket));
  loop_.room.erase(kSocket);
  loop_.writable(kSocket);
  EXPECT_FALSE(next());
  EXPECT_EQ(link().queued_bytes(), 0u);
  EXPECT_THAT(read_frames(loop_.take_sent(kSocket)),
              testing::ElementsAre("text:hello", "text:again"));
}

TEST_F(LinkTest, RefusesToQueueMoreThanItsBound) {
  options_.queue_bytes_max = 100;
  open();
  EXPECT_FALSE(link().send(MessageKind::kText, as_bytes(std::string(100, 'x'))));
  EXPECT_TRUE(link().send(MessageKind::kText, as_bytes(std::string(80, 'x'))));
  EXPECT_FALSE(link().send(MessageKind::kText, as_bytes(std::string(80, 'x'))));
  next();
  EXPECT_TRUE(link().send(MessageKind::kText, as_bytes(std::string(80, 'x'))));
}

TEST_F(LinkTest, TellsARefusalWithItsStatusAndReason) {
  connect();
  loop_.received(kSocket, "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\nnot you\n");
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kFailed);
  EXPECT_EQ(event->status, 403);
  EXPECT_EQ(event->reason, "HTTP 403 Forbidden: not you");
  EXPECT_TRUE(link().is_over());
  EXPECT_FALSE(loop_.open.contains(kSocket));
}

TEST_F(LinkTest, TellsWhyItNeverOpened) {
  ASSERT_EQ(link().connect("ws://127.0.0.9:1/"), std::nullopt);
  loop_.connected(kSocket, ECONNREFUSED);
  EXPECT_THAT(next()->reason, HasSubstr("refused"));
  ASSERT_EQ(link().connect("ws://127.0.0.9:1/"), std::nullopt) << "it may be tried again";
  EXPECT_THAT(next(seconds(20))->reason, HasSubstr("no connection in time"));
  connect();
  EXPECT_THAT(next(seconds(20))->reason, HasSubstr("no answer in time"));
  connect();
  loop_.received(kSocket, "nonsense\r\n\r\n");
  EXPECT_THAT(next()->reason, HasSubstr("malformed answer"));
  connect();
  loop_.closed(kSocket);
  EXPECT_THAT(next()->reason, HasSubstr("without an answer"));
  connect();
  link().close(1000, {});
  EXPECT_THAT(next()->reason, HasSubstr("closed before it was open"));
}

TEST_F(LinkTest, FailsOnAnAnswerThatAgreesToWhatWasNotAsked) {
  const auto reason_with = [this](auto change) {
    std::string answer = acceptance(connect());
    change(answer);
    loop_.received(kSocket, answer);
    const auto event = next();
    EXPECT_TRUE(event && event->kind == Kind::kFailed);
    return std::string(event->reason);
  };
  const auto add = [](std::string line) {
    return [line](std::string& answer) { answer.insert(answer.size() - 2, line + "\r\n"); };
  };
  EXPECT_THAT(reason_with(add("Sec-WebSocket-Protocol: chat")), HasSubstr("not offered"));
  EXPECT_THAT(reason_with(add("Sec-WebSocket-Extensions: permessage-deflate")),
              HasSubstr("extension"));
  EXPECT_THAT(
      reason_with([](std::string& answer) { answer.replace(answer.find("Accept: ") + 8, 1, "?"); }),
      HasSubstr("Sec-WebSocket-Accept"));
  EXPECT_THAT(reason_with([](std::string& answer) {
                answer.replace(answer.find("websocket"), 9, "carrier-p");
              }),
              HasSubstr("Upgrade"));
}

TEST_F(LinkTest, SaysWhatIsWrongWithUrlAndOptionsAtOnce) {
  EXPECT_THAT(link().connect("http://127.0.0.1/").value_or(""), HasSubstr("ws://"));
  options_.headers = {{"X", "a\r\nb"}};
  EXPECT_THAT(link().connect("ws://127.0.0.9:1/").value_or(""), HasSubstr("X"));
  options_.headers = {};
  options_.subprotocols = {"a b"};
  EXPECT_THAT(link().connect("ws://127.0.0.9:1/").value_or(""), HasSubstr("a b"));
  options_.subprotocols = {};
  connect();
  EXPECT_THAT(link().connect("ws://127.0.0.9:1/").value_or(""), HasSubstr("not over"));
}

TEST_F(LinkTest, AnswersTheServersCloseAndWaitsForTheEndOfTcp) {
  open();
  loop_.received(kSocket, frame(protocol::Opcode::kClose, "\x0f\xa1why"));
  EXPECT_FALSE(next());
  EXPECT_THAT(read_frames(loop_.take_sent(kSocket)), testing::ElementsAre("close:4001"));
  EXPECT_FALSE(link().send(MessageKind::kText, as_bytes("late")));
  loop_.closed(kSocket);
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kClosed);
  EXPECT_EQ(event->code, 4001);
  EXPECT_EQ(event->reason, "why");
  EXPECT_TRUE(link().is_over());
}

TEST_F(LinkTest, ClosesAndStillReadsUntilTheServersClose) {
  open();
  link().close(1000, "done");
  loop_.received(kSocket, frame(protocol::Opcode::kText, "last") +
                              frame(protocol::Opcode::kClose, "\x03\xe8"));
  EXPECT_EQ(as_text(next()->payload), "last");
  EXPECT_FALSE(next());
  EXPECT_THAT(read_frames(loop_.take_sent(kSocket)), testing::ElementsAre("close:1000done"));
  const auto event = next(seconds(5));
  ASSERT_TRUE(event) << "a server that keeps TCP open is left after close_timeout";
  EXPECT_EQ(event->code, 1000);
}

TEST_F(LinkTest, GivesUpOnAServerThatDoesNotAnswerItsClose) {
  open();
  link().close(1000, {});
  EXPECT_FALSE(next(milliseconds(900)));
  const auto event = next(seconds(5));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->code, 1006);
}

TEST_F(LinkTest, TellsTheLossOfTheConnection) {
  open();
  loop_.closed(kSocket, ECONNRESET);
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kClosed);
  EXPECT_EQ(event->code, 1006);
}

TEST_F(LinkTest, ClosesOnAServerThatBreaksTheProtocolOrALimit) {
  options_.message_bytes_max = 10;
  open();
  loop_.received(kSocket, frame(protocol::Opcode::kText, "more than ten"));
  EXPECT_FALSE(next());
  EXPECT_THAT(read_frames(loop_.take_sent(kSocket)),
              testing::ElementsAre(StartsWith("close:1009")));
  EXPECT_EQ(next(seconds(5))->code, 1009);
}

TEST_F(LinkTest, CountsASilentServerAsGoneWhereThatIsAsked) {
  options_.silence_max = seconds(30);
  open();
  EXPECT_FALSE(next(seconds(20)));
  loop_.received(kSocket, frame(protocol::Opcode::kPing, ""));
  EXPECT_FALSE(next(seconds(20)));
  EXPECT_FALSE(next(seconds(5)));
  const auto event = next(seconds(20));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->reason, "silent for too long");
}

TEST_F(LinkTest, ReturnsWhenItIsWoken) {
  open();
  loop_.coming.push_back({net::Completion::Kind::kWoken});
  EXPECT_FALSE(next(std::chrono::hours(1)));
  EXPECT_LT(loop_.time, Instant(seconds(1100)));
}

}  // namespace
}  // namespace holdfast::client
