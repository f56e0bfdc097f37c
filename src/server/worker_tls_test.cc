// TLS through a whole worker, without a kernel: OpenSSL's client on the other side.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/memory_broker.h"
#include "protocol/frame.h"
#include "protocol/tls_peer.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

using protocol::SslEnd;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kListener = 1000;
constexpr std::string_view kUpgrade =
    "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

class Echo final : public Handler {
 public:
  Verdict upgrade(Peer&, const Request& request) override {
    const ClientCertificate* certificate = request.client_certificate();
    subjects.push_back(certificate == nullptr ? "nobody" : certificate->subject);
    return Verdict::accept();
  }
  void open(Peer& peer, const Request& request) override {
    peer.subscribe("news");
    EXPECT_EQ(request.client_certificate() == nullptr, subjects.back() == "nobody");
  }
  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    peer.send(kind, payload);
  }
  std::vector<std::string> subjects;
};

const protocol::Identity& authority() {
  static const protocol::Identity one("authority");
  return one;
}

std::shared_ptr<const protocol::TlsContext> context(bool detach, bool asks = false,
                                                    bool tls12 = false) {
  static const protocol::Identity one("localhost");
  protocol::TlsPolicy policy;
  policy.allow_tls12 = tls12;
  if (asks) policy.client_certificates = protocol::TlsClientCertificates::kRequired;
  policy.client_authorities_pem = authority().certificate_pem();
  policy.detach = detach;
  policy.identities.emplace_back(one.certificate_pem(), one.key_pem(), "test.pem");
  return *protocol::TlsContext::make(policy);
}

std::string frame(std::string payload, protocol::Opcode opcode = protocol::Opcode::kBinary) {
  std::byte out[protocol::kFrameHeaderBytesMax];
  const protocol::MaskKey key{};
  const std::size_t size = protocol::write_frame_header(out, opcode, true, payload.size(), &key);
  return std::string(as_text({out, size})) + payload;
}

class WorkerTls : public testing::TestWithParam<bool> {  // detached or not
 protected:
  WorkerTls() {
    settings_.ping_interval = seconds(20);
    settings_.pong_timeout = seconds(5);
    settings_.handshake_timeout = seconds(10);
    settings_.close_timeout = seconds(1);
    settings_.drain_time = seconds(10);
    settings_.queue_bytes_max = 1'000'000;
    settings_.session.message_bytes_max = 1'000'000;
    settings_.descriptors = 2048;
    settings_.connections_max = 1500;
    settings_.tls_attached_max = 2;
    router_.add("/echo", echo_);
    worker_.emplace(settings_, router_, admission_, loop_, mailbox_, broker_, 0u, counters_);
    worker_->add_listener(kListener, {.tls = &source_});
  }
  ~WorkerTls() override { clients_.clear(); }

  SslEnd& connect(int descriptor) {
    loop_.accept(descriptor, listener_);
    auto& client = clients_[descriptor];
    client = std::make_unique<SslEnd>(contexts_.get(), false);
    client->handshake();
    return *client;
  }
  // Gives the worker what the client has to say, in pieces.
  void give(int descriptor, std::size_t piece = 100'000) {
    const auto bytes = clients_[descriptor]->output();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      loop_.receive(descriptor,
                    as_text(Bytes(bytes).subspan(at, std::min(piece, bytes.size() - at))));
    }
  }
  std::string take(int descriptor) {
    SslEnd& client = *clients_[descriptor];
    client.input(as_bytes(loop_.sent[descriptor]));
    loop_.sent[descriptor].clear();
    if (!client.is_done()) client.handshake();
    return client.read();
  }
  void open(int descriptor, std::size_t piece = 100'000) {
    SslEnd& client = connect(descriptor);
    for (int i = 0; i < 5 && !client.is_done(); ++i) {
      give(descriptor, piece);
      worker_->turn();
      take(descriptor);
    }
    ASSERT_TRUE(client.is_done());
    client.write(kUpgrade);
    give(descriptor, piece);
    worker_->turn();
    ASSERT_EQ(take(descriptor).substr(0, 12), "HTTP/1.1 101");
  }

  WorkerSettings settings_{};
  const std::shared_ptr<Echo> echo_ = std::make_shared<Echo>();
  Router router_;
  Admission admission_{AdmissionLimits{1500, 0, 0}};
  FakeLoop loop_;
  std::unique_ptr<net::Waker> waker_ = net::Waker::create().value();
  broker::Mailbox mailbox_{*waker_, 100};
  broker::MemoryBroker broker_{{&mailbox_}};
  Counters counters_;
  TlsSource source_{context(GetParam())};
  std::optional<Worker> worker_;
  int listener_ = kListener;
  protocol::SslContextPointer contexts_ = protocol::client_context();
  std::map<int, std::unique_ptr<SslEnd>> clients_;
};
INSTANTIATE_TEST_SUITE_P(Tls, WorkerTls, testing::Values(true, false));

TEST_P(WorkerTls, ServesAWebSocketHoweverItsBytesArrive) {
  int descriptor = 5;
  for (const std::size_t piece : {1u, 7u, 600u, 100'000u}) {
    SCOPED_TRACE(piece);
    open(++descriptor, piece);
    for (const std::size_t size : {0u, 5u, 20'000u}) {
      clients_[descriptor]->write(frame(std::string(size, 'a')));
      give(descriptor, piece);
      worker_->turn();
      EXPECT_EQ(take(descriptor).size(), size + (size < 126 ? 2 : 4));
    }
  }
  EXPECT_EQ(counters_.tls_established.read(), 4u);
  EXPECT_EQ(counters_.tls_attached.read(), GetParam() ? 0u : 4u);
  EXPECT_EQ(counters_.tls_unexpected.read(), 0u);
}

TEST_P(WorkerTls, SealsWhatASlowPeerIsSentOnceAndInOrder) {
  open(6);
  std::string expected;
  loop_.limit(6, 0);
  for (int i = 0; i < 30; ++i) {
    worker_->publish("news", MessageKind::kText,
                     as_bytes(std::string(1000, static_cast<char>('a' + i % 26))));
    worker_->turn();
  }
  const std::uint64_t waiting = counters_.queued_bytes.read();
  EXPECT_GT(waiting, 30'000u);
  std::string heard;
  for (int i = 0; i < 200 && counters_.queued_bytes.read() > 0; ++i) {
    loop_.limit(6, 777);
    loop_.make_writable(6);
    worker_->turn();
    heard += take(6);
  }
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
  ASSERT_EQ(heard.size(), 30 * 1004u);
  for (std::size_t i = 0; i < 30; ++i)
    EXPECT_EQ(heard.substr(i * 1004 + 4, 1000), std::string(1000, static_cast<char>('a' + i % 26)));
}

TEST_P(WorkerTls, LetsAStormWaitAndEstablishedPeersGoFirst) {
  open(6);
  clients_[6]->write(frame("still here"));
  for (int descriptor = 100; descriptor < 700; ++descriptor) {
    connect(descriptor);
    give(descriptor);
  }
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6).substr(2), "still here");
  EXPECT_GT(counters_.tls_waited.read(), 500u);
  // One of those that wait leaves; the others come in.
  loop_.end(699);
  for (int turn = 0; turn < 100; ++turn) {
    worker_->turn();
    for (int descriptor = 100; descriptor < 699; ++descriptor) {
      if (loop_.sent[descriptor].empty()) continue;
      take(descriptor);
      give(descriptor);
    }
  }
  EXPECT_EQ(counters_.tls_established.read(), 600u);
  EXPECT_EQ(loop_.closed.count(699), 1u);
}

TEST_P(WorkerTls, EndsWithCloseNotifyOnBothSides) {
  open(6);
  clients_[6]->write(frame("\x03\xe8", protocol::Opcode::kClose));
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6), "\x88\x02\x03\xe8");
  EXPECT_NE(SSL_get_shutdown(clients_[6]->ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(loop_.shut.count(6), 1u);
  open(7);
  SSL_shutdown(clients_[7]->ssl());
  give(7);
  worker_->turn();
  take(7);
  EXPECT_NE(SSL_get_shutdown(clients_[7]->ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(loop_.closed.count(7), 1u);
}

TEST_P(WorkerTls, SaysAnAlertToWhatIsNotAuthenticAndEnds) {
  open(6);
  clients_[6]->write(frame("x"));
  auto bytes = clients_[6]->output();
  bytes.back() ^= std::byte{1};
  loop_.receive(6, as_text(bytes));
  worker_->turn();
  EXPECT_EQ(counters_.tls_failed.read(), 1u);
  EXPECT_EQ(counters_.of(Ending::kViolation).read(), 1u);
  ERR_clear_error();
  take(6);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  ERR_clear_error();
  EXPECT_EQ(loop_.shut.count(6), 1u);
}

TEST_P(WorkerTls, AnswersAKeyUpdateAlthoughNobodySpeaks) {
  open(6);
  SSL_key_update(clients_[6]->ssl(), SSL_KEY_UPDATE_REQUESTED);
  clients_[6]->handshake();
  give(6);
  worker_->turn();
  // OpenSSL, where it is kept, waits for the next message.
  EXPECT_EQ(loop_.sent[6].empty(), !GetParam());
  take(6);
  clients_[6]->write(frame("under new keys"));
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6).substr(2), "under new keys");
}

TEST_P(WorkerTls, TellsTheHandlerWhoseCertificateItIs) {
  TlsSource mutual(context(GetParam(), true));
  worker_->add_listener(kListener + 1, {.tls = &mutual});
  open(6);
  const protocol::Identity alice("alice", false, &authority());
  CHECK(SSL_CTX_use_certificate(contexts_.get(), alice.certificate.get()) == 1);
  CHECK(SSL_CTX_use_PrivateKey(contexts_.get(), alice.key.get()) == 1);
  listener_ = kListener + 1;
  open(7);
  listener_ = kListener;
  open(8);
  EXPECT_EQ(echo_->subjects, (std::vector<std::string>{"nobody", "CN=alice", "nobody"}));
  clients_[7]->write(frame("hello"));
  give(7);
  worker_->turn();
  EXPECT_EQ(take(7).substr(2), "hello");
  EXPECT_EQ(worker_->client_certificate(7), nullptr) << "an idle peer keeps none";
  worker_.reset();  // before what it was given
}

TEST_P(WorkerTls, LetsOldVersionsInAsLongAsOpenSslMayHoldMore) {
  TlsSource old(context(true, false, true));
  worker_->add_listener(kListener + 1, {.tls = &old});
  listener_ = kListener + 1;
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  open(6);
  open(7);
  EXPECT_EQ(counters_.tls_held.read(), 2u);
  SslEnd& third = connect(8);
  give(8);
  worker_->turn();
  ERR_clear_error();
  take(8);
  EXPECT_FALSE(third.is_done());
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  ERR_clear_error();
  EXPECT_EQ(counters_.tls_old_refused.read(), 1u);
  // One that leaves makes room; and who speaks TLS 1.3 needs none.
  loop_.end(6);
  worker_->turn();
  EXPECT_EQ(counters_.tls_held.read(), 1u);
  open(9);
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), 0) == 1);
  open(10);
  // Three that begin while there is room for one.
  loop_.end(7);
  worker_->turn();
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  for (const int descriptor : {11, 12, 13}) connect(descriptor);
  for (int i = 0; i < 3; ++i) {
    for (const int descriptor : {11, 12, 13}) {
      give(descriptor);
      worker_->turn();
      take(descriptor);
    }
  }
  EXPECT_EQ(counters_.tls_old_refused.read(), 3u);
  EXPECT_EQ(loop_.shut.count(11) + loop_.shut.count(12) + loop_.shut.count(13), 2u);
  worker_.reset();  // before what it was given
}

TEST(OutboxOfTls, KeepsWhatIsSealedWhateverElseIsDropped) {
  Outbox outbox;
  outbox.push_sealed(SharedBytes::copy_of(as_bytes("record")));
  outbox.push(SharedBytes::copy_of(as_bytes("message")), 0, true, 0);
  outbox.drop_unbegun();
  ASSERT_EQ(outbox.entries().size(), 1u);
  EXPECT_EQ(as_text(outbox.entries().front().rest()), "record");
  EXPECT_FALSE(outbox.drop_oldest());
}

// These three were found by the simulator.
TEST_P(WorkerTls, TakesHalfARecordForASignOfLife) {
  open(6);
  loop_.sent[6].clear();
  for (int i = 0; i < 60 && loop_.sent[6].empty(); ++i) {
    loop_.advance(seconds(1));
    worker_->turn();
  }
  ASSERT_EQ(take(6), std::string("\x89\0", 2));
  clients_[6]->write(frame("", protocol::Opcode::kPong));
  const auto pong = clients_[6]->output();
  loop_.advance(seconds(6));
  loop_.receive(6, as_text(Bytes(pong).first(pong.size() / 2)));
  worker_->turn();
  EXPECT_EQ(counters_.pongs_missed.read(), 0u);
  EXPECT_EQ(loop_.closed.count(6), 0u);
}

TEST_P(WorkerTls, SendsWhatAHandshakeSaysWhileTheLastFlightStillWaits) {
  // Its first guess is refused (HelloRetryRequest), and it answers before all of that is out.
  CHECK(SSL_CTX_set1_groups_list(contexts_.get(), "P-521:P-256") == 1);
  SslEnd& client = connect(6);
  loop_.limit(6, 0);
  give(6);
  worker_->turn();
  std::vector<std::byte> answer;
  for (int i = 0; i < 1'000 && answer.empty(); ++i) {
    loop_.limit(6, 1);
    loop_.make_writable(6);
    worker_->turn();
    take(6);
    answer = client.output();
  }
  ASSERT_GT(counters_.queued_bytes.read(), 0u);
  loop_.unlimit(6);
  loop_.make_writable(6);
  loop_.receive(6, as_text(answer));
  worker_->turn();
  take(6);
  EXPECT_TRUE(client.is_done());
}

TEST_P(WorkerTls, CountsOneThatLeavesBeforeItsHandshakeWasAnswered) {
  connect(6);
  give(6);
  loop_.end(6);
  worker_->turn();
  EXPECT_EQ(counters_.of(Refusal::kLeft).read(), 1u);
}

TEST_P(WorkerTls, DropsAHandshakeThatTakesTooLong) {
  connect(6);
  give(6);
  worker_->turn();
  loop_.advance(seconds(11));
  worker_->turn();
  EXPECT_EQ(loop_.shut.count(6), 1u);
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 1u);
}

}  // namespace
}  // namespace holdfast::server
