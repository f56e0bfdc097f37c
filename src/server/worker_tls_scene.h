#pragma once

// For tests: a worker behind TLS, without a kernel, and OpenSSL's clients on the other side.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/memory_broker.h"
#include "protocol/frame.h"
#include "protocol/tls_peer.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::server {

using protocol::SslEnd;
using std::chrono::seconds;

inline constexpr int kListener = 1000;
inline constexpr std::string_view kUpgrade =
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

inline const protocol::Identity& authority() {
  static const protocol::Identity one("authority");
  return one;
}

inline std::shared_ptr<const protocol::TlsContext> context(bool detach, bool asks = false,
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

inline std::string frame(std::string payload, protocol::Opcode opcode = protocol::Opcode::kBinary) {
  std::byte out[protocol::kFrameHeaderBytesMax];
  const protocol::MaskKey key{};
  const std::size_t size = protocol::write_frame_header(out, opcode, true, payload.size(), &key);
  return std::string(as_text({out, size})) + payload;
}

class WorkerTlsScene : public testing::Test {
 protected:
  explicit WorkerTlsScene(bool detach) : source_{context(detach)} {
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
  ~WorkerTlsScene() override { clients_.clear(); }

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
    connect(descriptor);
    go_on(descriptor, piece);
  }
  // From wherever it is to its WebSocket.
  void go_on(int descriptor, std::size_t piece = 100'000) {
    SslEnd& client = *clients_[descriptor];
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
  TlsSource source_;
  std::optional<Worker> worker_;
  int listener_ = kListener;
  protocol::SslContextPointer contexts_ = protocol::client_context();
  std::map<int, std::unique_ptr<SslEnd>> clients_;
};

}  // namespace holdfast::server
