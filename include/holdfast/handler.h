#pragma once

// What a program built on Holdfast writes: a Handler for each path. Everything here is called on, and may be used from, the
// one worker thread that owns the peer; a worker never waits, so neither may a handler.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

namespace server {
class Worker;
}

enum class MessageKind : std::uint8_t { kText, kBinary };

// A request as a handler sees it: an upgrade, or plain HTTP. Views; they live until the handler returns.
class Request {
 public:
  virtual ~Request() = default;
  virtual std::string_view method() const = 0;
  virtual std::string_view path() const = 0;   // without the query: "/topics/prices"
  virtual std::string_view query() const = 0;  // behind the '?'; may be empty
  virtual std::optional<std::string_view> header(std::string_view name) const = 0;  // first of that name, any case
  virtual std::span<const std::byte> body() const = 0;                            // empty for an upgrade
  virtual bool from_loopback() const = 0;  // whether the connection comes from 127.0.0.0/8 or ::1
};

// An answer over plain HTTP.
struct Reply {
  int status = 200;
  std::string body = {};
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers = {};  // beyond Content-Type and Content-Length
};

// How a subscriber wants a topic's messages.
struct SubscribeOptions {
  // Messages that come within so long of the first leave in one write: fewer packets for up to that much delay. 0: at once; at most 1 s.
  std::chrono::milliseconds window{0};
  // Of messages with the same key (PublishOptions) in one window, only the newest is sent. For prices and positions, not for chat.
  bool conflate = false;
};

struct PublishOptions {
  // What the message is the newest value of, such as "AAPL" in the topic "prices"; empty: of the topic as a whole. Conflation alone looks
  // at it: SubscribeOptions::conflate and QueueFullPolicy::kConflate.
  std::string_view key = {};
};

// One WebSocket. A handle of 16 bytes, valid inside the callback that gave it. An idle peer costs 16 bytes of table and
// nothing else; a subscription costs 4 to 8 more.
class Peer {
 public:
  Peer(server::Worker& worker, int descriptor) : worker_(&worker), descriptor_(descriptor) {}

  // Queues a message; it leaves when the worker's turn ends, in one write with all else for this peer. The payload is copied.
  // A text must be UTF-8. Nothing is sent to a peer that is being closed. A peer that reads more slowly than it is sent to is
  // dealt with as Options::queue_full says.
  void send(MessageKind kind, std::span<const std::byte> payload);
  // Messages published to `topic` reach this peer, once each and in one order for all subscribers. Twice subscribed is once subscribed,
  // with the later options. A topic's name is 1 to 1,024 bytes, none of them zero; any other name gets nothing.
  void subscribe(std::string_view topic, const SubscribeOptions& options = {});
  void unsubscribe(std::string_view topic);
  // Starts the close handshake (RFC 6455 7): `code` is 1000..1003, 1007..1014 or 3000..4999; `reason` is UTF-8, cut to 123 bytes.
  void close(std::uint16_t code, std::string_view reason = {});

 private:
  server::Worker* worker_;
  int descriptor_;
};

// Publishes to every subscriber of a topic, on every worker.
class Publisher {
 public:
  virtual ~Publisher() = default;
  // Returns false when a worker's mailbox is full and that worker's subscribers will miss it (counted).
  virtual bool publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload,
                       const PublishOptions& options = {}) = 0;
};

// The behaviour of one path. Workers call it concurrently, each for its own peers: state of its own must be safe for that.
class Handler {
 public:
  virtual ~Handler() = default;
  // Whether a well-formed upgrade is let in: 101, or the status of the refusal (401, 403, 404, …).
  virtual int upgrade(const Request&) { return 101; }
  virtual void open(Peer&, const Request&) {}
  // The payload is a view that lives until the return.
  virtual void message(Peer&, MessageKind, std::span<const std::byte>) {}
  // The peer is gone; nothing can be sent any more. `code` is what it sent, or 1005, 1006 (RFC 6455 7.1.5).
  virtual void close(Peer&, std::uint16_t /*code*/) {}
  // A request that is no upgrade. Nothing returned: the path speaks WebSocket alone, and the peer is told so.
  virtual std::optional<Reply> request(const Request&, Publisher&) { return std::nullopt; }
  // Whether messages are the business of this path, so that a worker answers at once rather than gathering arrivals.
  virtual bool wants_promptness() const { return true; }
};

}  // namespace holdfast
