#pragma once

// A WebSocket server of one thread, for tests of whole runs: upgrades everybody, echoes messages,
// delivers what is POSTed to all, pings every 100 ms and drops who has been silent for its
// patience. Nothing like the real one, so that a mistake of that cannot hide one of the generator.

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "net/clock.h"
#include "net/descriptor_table.h"
#include "net/loop.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"
#include "protocol/http_response.h"
#include "protocol/session.h"

namespace holdfast::load {

class SmallServer {
 public:
  // Listens on a port of its own on 127.0.0.11. Every `refuse_every`-th upgrade is answered with
  // 503 (0: none). The tenth POST is delivered and answered so much late.
  explicit SmallServer(int refuse_every = 0, Duration patience = std::chrono::seconds(20),
                       Duration late = Duration(0))
      : refuse_every_(refuse_every), patience_(patience), late_(late), thread_([this] { run(); }) {
    while (port_ == 0) std::this_thread::yield();
  }
  ~SmallServer() {
    stopping_ = true;
    thread_.join();
  }
  SmallServer(const SmallServer&) = delete;
  SmallServer& operator=(const SmallServer&) = delete;

  std::string url(std::string_view path) const {
    return "ws://127.0.0.11:" + std::to_string(port_) + std::string(path);
  }

 private:
  struct Peer {
    explicit Peer(const protocol::HttpLimits* http, const protocol::SessionLimits* limits)
        : request(http), session(protocol::Role::kServer, limits) {}
    protocol::HttpRequestParser request;
    protocol::Session session;
    bool is_open = false;
    bool echoes = false;
    Instant heard;
  };

  void run() {
    CHECK(net::take_private_descriptor_table());
    loop_ = std::move(*net::make_loop({}, nullptr));
    const auto listener = loop_->listen(*net::Address::parse("127.0.0.11:0"), {});
    CHECK(listener);
    port_ = loop_->local_address(*listener)->port();
    Instant next_ping = net::monotonic_now();
    while (!stopping_) {
      const Instant now = net::monotonic_now();
      loop_->wait(now, now + std::chrono::milliseconds(10));
      while (const auto completion = loop_->next()) take(*completion);
      if (loop_->now() >= next_ping) {
        keep_alive();
        next_ping = loop_->now() + std::chrono::milliseconds(100);
      }
      if (loop_->now() >= late_due_) {
        late_due_ = kNever;
        if (const auto peer = peers_.find(late_one_); peer != peers_.end())
          deliver(peer->first, peer->second);
      }
      flush();
    }
  }

  void take(const net::Completion& completion) {
    using Kind = net::Completion::Kind;
    if (completion.kind == Kind::kAccepted)
      peers_.emplace(completion.descriptor, Peer(&http_, &limits_));
    const auto peer = peers_.find(completion.descriptor);
    if (peer == peers_.end()) return;
    if (completion.kind == Kind::kClosed) return drop(completion.descriptor);
    if (completion.kind != Kind::kReceived) return;
    peer->second.heard = loop_->now();
    peer->second.is_open ? hear(peer->first, peer->second, completion.bytes)
                         : upgrade(peer->first, peer->second, completion.bytes);
  }

  void upgrade(net::Descriptor descriptor, Peer& peer, Bytes bytes) {
    if (peer.request.feed(bytes) != protocol::HttpProgress::kDone) return;
    const protocol::HttpRequest& request = peer.request.request();
    if (request.method == "POST") {
      if (++posts_ != 10 || late_ == Duration(0)) return deliver(descriptor, peer);
      late_one_ = descriptor;
      late_due_ = loop_->now() + late_;
      return;
    }
    if (refuse_every_ > 0 && ++upgrades_ % refuse_every_ == 0)
      return send(descriptor, protocol::http_response(503, {}, "", true));
    std::array<std::byte, protocol::kHandshakeResponseBytesMax> out;
    const std::size_t size =
        protocol::write_handshake_response(out.data(), protocol::judge_handshake(request).key);
    peer.is_open = true;
    peer.echoes = request.path == "/echo";
    send(descriptor, as_text(Bytes(out).first(size)));
  }

  void deliver(net::Descriptor descriptor, Peer& publisher) {
    const std::string body(as_text(publisher.request.request().body));
    for (auto& [other, them] : peers_) {
      if (them.is_open && !them.echoes) say(other, protocol::Opcode::kText, body);
    }
    send(descriptor, protocol::http_response(202, {}, "", true));
    publisher.request.reset();
  }

  void hear(net::Descriptor descriptor, Peer& peer, MutableBytes bytes) {
    while (const auto event = peer.session.next(bytes)) {
      if (event->kind == protocol::Event::Kind::kText && peer.echoes)
        say(descriptor, protocol::Opcode::kText, as_text(event->payload));
      if (event->kind == protocol::Event::Kind::kClose ||
          event->kind == protocol::Event::Kind::kViolation)
        return drop(descriptor);
    }
  }

  void keep_alive() {
    std::vector<net::Descriptor> dead;
    for (auto& [descriptor, peer] : peers_) {
      if (!peer.is_open) continue;
      if (loop_->now() - peer.heard > patience_) {
        dead.push_back(descriptor);
      } else {
        say(descriptor, protocol::Opcode::kPing, "");
      }
    }
    for (const net::Descriptor descriptor : dead) drop(descriptor);
  }

  void say(net::Descriptor descriptor, protocol::Opcode opcode, std::string_view payload) {
    std::array<std::byte, protocol::kFrameHeaderBytesMax> head;
    const std::size_t size =
        protocol::write_frame_header(head.data(), opcode, true, payload.size());
    send(descriptor, std::string(as_text(Bytes(head).first(size))) + std::string(payload));
  }

  void send(net::Descriptor descriptor, std::string_view text) {
    sending_.emplace_back(text);
    loop_->send(descriptor, as_bytes(sending_.back()), 0);
  }

  // One that does not read what it gets is cut off: half a frame would be no frame.
  void flush() {
    std::vector<net::Descriptor> behind;
    for (const net::Unsent& unsent : loop_->flush()) behind.push_back(unsent.descriptor);
    sending_.clear();
    for (const net::Descriptor descriptor : behind) drop(descriptor);
  }

  void drop(net::Descriptor descriptor) {
    if (peers_.erase(descriptor) > 0) loop_->reset(descriptor);
  }

  int refuse_every_;
  Duration patience_;
  Duration late_;
  int upgrades_ = 0;
  int posts_ = 0;
  net::Descriptor late_one_ = -1;
  Instant late_due_ = kNever;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint16_t> port_{0};
  std::unique_ptr<net::Loop> loop_;
  protocol::HttpLimits http_;
  protocol::SessionLimits limits_;
  std::map<net::Descriptor, Peer> peers_;
  std::deque<std::string> sending_;
  std::thread thread_;
};

}  // namespace holdfast::load
