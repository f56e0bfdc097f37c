#pragma once

// For tests: a worker behind TLS, without a kernel, and OpenSSL's clients on the other side.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocol/tls_peer.h"
#include "server/worker_scene.h"

namespace holdfast::server {

using protocol::SslEnd;
using std::chrono::seconds;

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

inline std::string frame(std::string_view payload,
                         protocol::Opcode opcode = protocol::Opcode::kBinary) {
  return client_frame(opcode, payload);
}

class WorkerTlsScene : public WorkerScene {
 protected:
  explicit WorkerTlsScene(bool detach) : source_{context(detach)} {
    admission_.emplace(AdmissionLimits{1500, 0, 0});
    settings_.idle_batch = Duration(0);
    settings_.queue_bytes_max = 1'000'000;
    settings_.session.message_bytes_max = 1'000'000;
    settings_.descriptors = 2048;
    settings_.connections_max = 1500;
    settings_.tls_attached_max = 2;
    router_.add("/echo", echo_);
    worker();
  }
  ~WorkerTlsScene() override { worker_.reset(); }
  void add_listeners(Worker& worker) override { worker.add_listener(kListener, {.tls = &source_}); }

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
    client.write(upgrade_request("/echo"));
    give(descriptor, piece);
    worker_->turn();
    ASSERT_EQ(take(descriptor).substr(0, 12), "HTTP/1.1 101");
  }

  const std::shared_ptr<Echo> echo_ = std::make_shared<Echo>();
  TlsSource source_;
  int listener_ = kListener;
  protocol::SslContextPointer contexts_ = protocol::client_context();
  std::map<int, std::unique_ptr<SslEnd>> clients_;
};

}  // namespace holdfast::server
