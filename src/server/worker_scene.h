#pragma once

// For tests: a worker over a loop without a kernel, and what peers do to it.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "broker/memory_broker.h"
#include "protocol/frame.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::server {

inline constexpr net::Descriptor kListener = 1000;

// With the key of RFC 6455 1.3. `more`: header fields, each with its line end.
inline std::string upgrade_request(std::string_view target, std::string_view more = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(more) + "\r\n";
}

// As a client sends it. `compressed`: RSV1 is set.
inline std::string client_frame(protocol::Opcode opcode, std::string_view payload,
                                bool compressed = false) {
  std::byte head[protocol::kFrameHeaderBytesMax];
  const protocol::MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const std::size_t size =
      protocol::write_frame_header(head, opcode, true, payload.size(), &key, compressed);
  std::string masked(payload);
  protocol::apply_mask(std::as_writable_bytes(std::span(masked)), key);
  return std::string(as_text({head, size})) + masked;
}

// The worker comes to life when it is first asked for: until then a test may change settings,
// routes and admission.
class WorkerScene : public testing::Test {
 protected:
  WorkerScene() {
    settings_.ping_interval = std::chrono::seconds(20);
    settings_.pong_timeout = std::chrono::seconds(5);
    settings_.idle_batch = std::chrono::milliseconds(20);
    settings_.handshake_timeout = std::chrono::seconds(10);
    settings_.close_timeout = std::chrono::seconds(1);
    settings_.drain_time = std::chrono::seconds(10);
    settings_.queue_bytes_max = 1000;
    settings_.retry_after_seconds = "5";
    settings_.descriptors = 1024;
    settings_.connections_max = 1000;
  }

  Worker& worker() {
    if (worker_ == nullptr) {
      worker_ = std::make_unique<Worker>(settings_, router_, *admission_, loop_, mailbox_, broker_,
                                         kNumber, counters_);
      add_listeners(*worker_);
    }
    return *worker_;
  }
  virtual void add_listeners(Worker& worker) { worker.add_listener(kListener); }

  // What it was sent since it was last asked.
  std::string heard(int descriptor) { return std::exchange(loop_.sent[descriptor], {}); }
  // What comes back for bytes that come at once.
  std::string say(int descriptor, std::string_view bytes) {
    loop_.receive(descriptor, bytes);
    worker().turn();
    return heard(descriptor);
  }
  // The same for a newcomer's first bytes.
  std::string come(int descriptor, std::string_view bytes, net::Descriptor listener = kListener) {
    loop_.accept(descriptor, listener);
    return say(descriptor, bytes);
  }
  void end(int descriptor) {
    loop_.end(descriptor);
    worker().turn();
  }
  // Has `act` done to it in the worker's next turn.
  void post(PeerId peer, std::function<void(Peer&)> act) {
    auto letter = std::make_shared<broker::Publication>();
    letter->errand = std::make_unique<const broker::Errand>(peer, std::move(act));
    ASSERT_TRUE(mailbox_.post(std::move(letter)));
  }
  // The peer's socket has room for so many bytes more.
  void make_room(int descriptor, std::size_t bytes) {
    loop_.limit(descriptor, bytes);
    loop_.make_writable(descriptor);
    worker().turn();
  }
  // Turns every 50 ms.
  void pass(Duration time) {
    constexpr Duration kStep = std::chrono::milliseconds(50);
    for (Duration done{}; done < time; done += kStep) {
      loop_.advance(kStep);
      worker().turn();
    }
  }

  static constexpr unsigned kNumber = 3;  // of this worker among four
  WorkerSettings settings_{};
  Router router_;
  std::optional<Admission> admission_{AdmissionLimits{1000, 0, 0}};
  FakeLoop loop_;
  std::unique_ptr<net::Waker> waker_ = net::Waker::create().value();
  broker::Mailbox mailbox_{*waker_, 100};
  broker::MemoryBroker broker_{{&mailbox_, &mailbox_, &mailbox_, &mailbox_}};
  Counters counters_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace holdfast::server
