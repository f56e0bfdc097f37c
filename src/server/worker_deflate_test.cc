// Peers that agreed on permessage-deflate, against a worker without a kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "protocol/frame.h"
#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using protocol::MessageDeflater;
using protocol::MessageInflater;
using protocol::Takeover;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Echo final : public Handler {
 public:
  void open(Peer& peer, const Request&) override { peer.subscribe("news"); }
  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    peer.send(kind, payload);
  }
};

// A client that agreed on whatever the server answered; reads what the fake loop sent to it.
struct Client {
  Client(Takeover ours, Takeover servers) : deflater(ours), inflater(servers) {
    limits.inflater = &inflater;
  }

  std::string say(std::string_view text, protocol::Opcode opcode = protocol::Opcode::kText) {
    const auto deflated = deflater.deflate(as_bytes(text));
    return client_frame(opcode, as_text(deflated.value_or(as_bytes(text))), deflated.has_value());
  }
  // The messages in `sent`, which it takes away; violations as "!".
  std::vector<std::string> hear(std::string& sent) {
    std::vector<std::string> messages;
    MutableBytes input = std::as_writable_bytes(std::span(sent));
    while (const auto event = session.next(input)) {
      messages.push_back(event->kind == protocol::Event::Kind::kViolation
                             ? "!" + std::string(event->reason)
                             : std::string(as_text(event->payload)));
    }
    sent.clear();
    return messages;
  }

  MessageDeflater deflater;
  MessageInflater inflater;
  protocol::SessionLimits limits;
  protocol::Session session{protocol::Role::kClient, &limits};
};

std::string text_of(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) text += "\"price\": " + std::to_string(random() % 1000) + ", ";
  text.resize(size);
  return text;
}

bool is_compressed(std::string_view wire) { return (wire.front() & 0x40) != 0; }

class WorkerDeflateTest : public WorkerScene {
 protected:
  WorkerDeflateTest() {
    settings_.ping_interval = seconds(0);
    settings_.queue_bytes_max = 1 << 20;
    router_.add("/echo", echo_);
  }
  void add_listeners(Worker& worker) override {
    worker.add_listener(kListener, {.deflate = deflate_});
  }
  // The answer's head.
  std::string upgrade(int descriptor, std::string_view extensions,
                      net::Descriptor listener = kListener) {
    loop_.accept(descriptor, listener);
    return ask(descriptor, extensions);
  }
  std::string ask(int descriptor, std::string_view extensions) {
    return say(descriptor, upgrade_request("/echo", extensions));
  }
  Client& open(int descriptor, std::string_view offer = "permessage-deflate",
               Takeover ours = Takeover::kNone, Takeover servers = Takeover::kNone) {
    const std::string answer =
        upgrade(descriptor, "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 "));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Extensions: permessage-deflate"));
    return clients_
        .emplace(std::piecewise_construct, std::tuple(descriptor), std::tuple(ours, servers))
        .first->second;
  }
  std::vector<std::string> hear(int descriptor) {
    return clients_.at(descriptor).hear(loop_.sent[descriptor]);
  }
  std::string echo(int descriptor, std::string_view text) {
    loop_.receive(descriptor, clients_.at(descriptor).say(text));
    worker().turn();
    const auto heard = hear(descriptor);
    return heard.size() == 1 ? heard.front() : "(" + std::to_string(heard.size()) + " messages)";
  }

  DeflateChoice deflate_ = DeflateChoice::kOn;  // of the listener
  std::shared_ptr<Echo> echo_ = std::make_shared<Echo>();
  std::map<int, Client> clients_;
};

TEST_F(WorkerDeflateTest, AgreesOnTheTermsOfAnOffer) {
  EXPECT_THAT(
      upgrade(5, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
      HasSubstr("\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                "client_no_context_takeover\r\n"));
  EXPECT_THAT(upgrade(6, ""), Not(HasSubstr("Sec-WebSocket-Extensions")));
  EXPECT_THAT(upgrade(7, "Sec-WebSocket-Extensions: permessage-deflate; no\r\n"),
              Not(HasSubstr("Extensions")));
  EXPECT_EQ(counters_.deflate_agreed.read(), 1u);
}

TEST_F(WorkerDeflateTest, DeclinesWhereItIsOff) {
  deflate_ = DeflateChoice::kOff;
  const std::string answer = upgrade(5, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(answer, Not(HasSubstr("Extensions")));
}

TEST_F(WorkerDeflateTest, EachListenerDecidesForItsOwnPeers) {
  worker().add_listener(1001, {.deflate = DeflateChoice::kOff});
  worker().add_listener(1002, {.deflate = DeflateChoice::kTakeover});
  worker().add_listener(1003,
                        {.proxy = protocol::ProxyVersions::kOne, .deflate = DeflateChoice::kOn});
  const std::string offer =
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
  EXPECT_THAT(upgrade(5, offer, 1001), Not(HasSubstr("Extensions")));
  EXPECT_THAT(upgrade(6, offer, 1002), HasSubstr("permessage-deflate; client_max_window_bits"));
  loop_.accept(7, 1003);
  loop_.receive(7, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
  worker().turn();
  EXPECT_THAT(ask(7, offer), HasSubstr("permessage-deflate; server_no_context_takeover"));
  // A number that comes again has nothing of its predecessor's.
  loop_.end(6);
  worker().turn();
  EXPECT_THAT(upgrade(6, offer, 1001), Not(HasSubstr("Extensions")));
}

TEST_F(WorkerDeflateTest, ARequestBeforeTheUpgradeChangesNothingAboutIt) {
  loop_.accept(5);
  loop_.receive(5, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  worker().turn();
  EXPECT_THAT(std::exchange(loop_.sent[5], {}), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask(5, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
              HasSubstr("Extensions: permessage-deflate"));
}

TEST_F(WorkerDeflateTest, RefusesExtensionsThatAreMalformed) {
  EXPECT_THAT(upgrade(5, "Sec-WebSocket-Extensions: permessage-deflate;;\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(upgrade(6, "Sec-WebSocket-Extensions: a=1\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(WorkerDeflateTest, EchoesMessagesOfEverySizeCompressed) {
  Client& client = open(5);
  for (const std::size_t size : {0u, 1u, 127u, 128u, 1000u, 5000u, 60'000u}) {
    const std::string text = text_of(size, 1);
    loop_.receive(5, client.say(text));
    worker().turn();
    EXPECT_EQ(is_compressed(loop_.sent[5]), size >= 128) << size;
    EXPECT_EQ(hear(5), std::vector{text});
  }
  EXPECT_LT(counters_.deflated_payload_bytes.read(), counters_.deflated_message_bytes.read() / 2);
}

TEST_F(WorkerDeflateTest, SendsWhatDoesNotShrinkAsItIs) {
  Client& client = open(5);
  std::mt19937 random(1);
  std::string noise(1000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  loop_.receive(5, client.say(noise, protocol::Opcode::kBinary));
  worker().turn();
  EXPECT_FALSE(is_compressed(loop_.sent[5]));
  EXPECT_EQ(hear(5), std::vector{noise});
}

TEST_F(WorkerDeflateTest, DeliversOnePublicationInTheFormThatEachAgreedOn) {
  open(5);
  open(6);
  open(7, "permessage-deflate; server_max_window_bits=9");
  upgrade(8, "");
  const std::string text = text_of(3000, 2);
  worker().publish("news", MessageKind::kText, as_bytes(text));
  worker().turn();
  EXPECT_TRUE(is_compressed(loop_.sent[5]));
  EXPECT_EQ(loop_.sent[5], loop_.sent[6]);
  EXPECT_TRUE(is_compressed(loop_.sent[7]));
  EXPECT_NE(loop_.sent[7], loop_.sent[5]) << "a window of 512 bytes needs another wire";
  EXPECT_EQ(loop_.sent[8].substr(4), text);
  for (const int descriptor : {5, 6, 7}) EXPECT_EQ(hear(descriptor), std::vector{text});
}

TEST_F(WorkerDeflateTest, DeliversASmallPublicationToAllAsItIs) {
  open(5);
  worker().publish("news", MessageKind::kText, as_bytes("short"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "\x81\x05short");
}

TEST_F(WorkerDeflateTest, KeepsWindowsWhereThatIsThePolicy) {
  deflate_ = DeflateChoice::kTakeover;
  open(5, "permessage-deflate", Takeover::kKept, Takeover::kKept);
  const std::string text = text_of(120, 3);
  EXPECT_EQ(echo(5, text), text);
  const std::uint64_t before = counters_.bytes_sent.read();
  EXPECT_EQ(echo(5, text), text);
  EXPECT_LT(counters_.bytes_sent.read() - before, 15u) << "the second refers to the first";
}

TEST_F(WorkerDeflateTest, KeepsAWindowInOneDirectionWhereThePeerWantsNoOther) {
  deflate_ = DeflateChoice::kTakeover;
  open(5, "permessage-deflate; server_no_context_takeover", Takeover::kKept, Takeover::kNone);
  open(6, "permessage-deflate; client_no_context_takeover", Takeover::kNone, Takeover::kKept);
  for (std::uint32_t round = 0; round < 20; ++round) {
    const std::string text = text_of(200 + round % 3, round % 4);
    EXPECT_EQ(echo(5, text), text);
    EXPECT_EQ(echo(6, text), text);
  }
}

TEST_F(WorkerDeflateTest, APublicationBetweenMessagesDoesNotDisturbAKeptWindow) {
  deflate_ = DeflateChoice::kTakeover;
  open(5, "permessage-deflate; client_max_window_bits", Takeover::kKept, Takeover::kKept);
  for (std::uint32_t round = 0; round < 50; ++round) {
    EXPECT_EQ(echo(5, text_of(150, round % 3)), text_of(150, round % 3));
    worker().publish("news", MessageKind::kText, as_bytes(text_of(round * 40, round)));
    worker().turn();
    EXPECT_EQ(hear(5), std::vector{text_of(round * 40, round)}) << "round " << round;
  }
}

TEST_F(WorkerDeflateTest, TakesCompressedMessagesUntilThePeerHasHeardTheClose) {
  Client& client = open(5);
  worker().close(5, 1000, "", Ending::kHandler);
  loop_.receive(5, client.say(text_of(500, 1)));
  worker().turn();
  EXPECT_EQ(counters_.of(Ending::kViolation).read(), 0u);
  EXPECT_FALSE(loop_.closed.contains(5));
  loop_.receive(5, "\x88\x80\x01\x02\x03\x04");
  worker().turn();
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(counters_.of(Ending::kHandler).read(), 1u);
}

TEST_F(WorkerDeflateTest, ClosesAPeerThatCompressesWithoutAnAgreement) {
  upgrade(5, "");
  Client stranger(Takeover::kKept, Takeover::kNone);
  loop_.receive(5, stranger.say("Hello"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5].substr(2, 2), "\x03\xea");
}

TEST_F(WorkerDeflateTest, ARowThatIsUsedAgainHasForgottenTheAgreement) {
  open(5);
  loop_.end(5);
  worker().turn();
  upgrade(5, "");
  worker().publish("news", MessageKind::kText, as_bytes(text_of(500, 1)));
  worker().turn();
  EXPECT_FALSE(is_compressed(loop_.sent[5]));
}

}  // namespace
}  // namespace holdfast::server
