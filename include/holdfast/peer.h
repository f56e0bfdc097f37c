#pragma once

// One WebSocket as a handler sees it, and its name beyond the callback. The reader of an event
// stream (Reply::event_stream) is a peer too, one that only listens.

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/bytes.h"

namespace holdfast {

namespace server {
class Worker;
}

enum class MessageKind : std::uint8_t { kText, kBinary };

// Names one WebSocket of one Server, on any thread and for as long as the server lives. When the
// peer is gone its name is never given to another (but for one chance in four thousand million, if
// it is kept while its worker hands out as many).
struct PeerId {
  std::uint32_t worker = 0;
  std::uint32_t descriptor = 0;
  std::uint32_t serial = 0;  // 0: nobody

  explicit operator bool() const { return serial != 0; }
  friend auto operator<=>(const PeerId&, const PeerId&) = default;
};

// What a handler keeps with a peer; see Peer::data().
class Kept {
 public:
  virtual ~Kept() = default;
  template <class T>
  class Of;
};

template <class T>
class Kept::Of final : public Kept {
 public:
  T value{};
};

// How a subscriber wants a topic's messages.
struct SubscribeOptions {
  // Messages that come within so long of the first leave in one write: fewer packets for up to that
  // much delay. 0: at once; at most 1 s. Those who wish the same share a window on each worker; it
  // ends early when one more comes to it, or leaves it for other options.
  std::chrono::milliseconds window{0};
  // Of messages with the same key (PublishOptions) in one window, only the newest is sent. For
  // prices and positions, not for chat. Without a window there is nothing to choose from, and all
  // are sent.
  bool conflate = false;
};

struct PublishOptions {
  // What the message is the newest value of, such as "AAPL" in the topic "prices"; empty: of the
  // topic as a whole. Conflation alone looks at it: SubscribeOptions::conflate and
  // QueueFullPolicy::kConflate.
  std::string_view key = {};
  // One subscriber that is not sent it: whoever caused it and knows already. Nobody: all are.
  PeerId except = {};
  // What a reader of an event stream gives as Last-Event-ID when it comes back behind this message;
  // WebSockets are not told it. Empty, or with control characters: none.
  std::string_view event_id = {};
};

// A handle of 16 bytes, valid inside the callback that gave it, on that thread: what outlives the
// callback is its id(). An idle peer costs 16 bytes of table and nothing else; a subscription costs
// 4 to 8 more.
//
// Everything that is said in a callback leaves when the worker's turn ends, in one write with all
// else for this peer. A peer that reads more slowly than it is sent to is dealt with as
// Options::queue_full says.
class Peer {
 public:
  Peer(server::Worker& worker, int descriptor) : worker_(&worker), descriptor_(descriptor) {}

  // Queues a message; the payload is copied. A text must be UTF-8, which is not checked: is_utf8()
  // (utf8.h) tells. Nothing is sent before Handler::open, nor to a peer that is being closed.
  // `event_id`: as in PublishOptions. To an event stream a binary message is not sent.
  void send(MessageKind kind, Bytes payload, std::string_view event_id = {});
  void send(std::string_view text, std::string_view event_id = {}) {
    send(MessageKind::kText, as_bytes(text), event_id);
  }

  // Messages published to `topic` reach this peer, once each and in one order for all subscribers.
  // Twice subscribed is once subscribed, with the later options. A topic's name is 1 to 1,024
  // bytes, none of them zero; any other name gets nothing. Ignored before Handler::open and once
  // the peer is being closed, which ends all its subscriptions.
  void subscribe(std::string_view topic, const SubscribeOptions& options = {});
  // Nothing more reaches it, what waits in a window included.
  void unsubscribe(std::string_view topic);
  // Calls `act` with this peer on its worker's thread, under the rules of Server::post, at one
  // point in the order of a topic: behind all that was published to it before this call, and before
  // all that is published after it. So whoever publishes under a lock of his own, and calls this
  // under the same lock, may in `act` tell the peer what was published so far and then subscribe
  // it: it misses nothing and gets nothing twice. False: the worker's mailbox is full or the name
  // is no topic's, and `act` was destroyed uncalled.
  bool at_this_point_of(std::string_view topic, std::function<void(Peer&)> act);
  // To every subscriber on every worker, this peer too if it is one. A text must be UTF-8, which is
  // not checked: one that is not makes browsers leave. False when a worker's mailbox was full: its
  // subscribers miss it.
  bool publish(std::string_view topic, MessageKind kind, Bytes payload,
               const PublishOptions& options = {});
  bool publish(std::string_view topic, std::string_view text, const PublishOptions& options = {}) {
    return publish(topic, MessageKind::kText, as_bytes(text), options);
  }

  // Starts the close handshake (RFC 6455 7): `code` is 1000..1003, 1007..1014 or 3000..4999 (any
  // other aborts the program); `reason` is UTF-8, cut to 123 bytes. What was sent before still
  // arrives. Handler::close is called before this returns: hold no lock that it takes.
  void close(std::uint16_t code = 1000, std::string_view reason = {});

  // Bytes that wait for this peer: those of this turn and those that its socket did not take.
  // Whoever has more to say than a peer may read at once stops at a bound of his own and goes on in
  // Handler::drain.
  std::uint64_t queued_bytes() const;

  // Where the connection comes from: "192.0.2.7:41234", "[2001:db8::7]:41234"; empty for
  // one of a unix socket, and when the kernel no longer knows. A system call.
  std::string address() const;

  // The name by which other threads reach this peer (Server::send, close, post), also after the
  // callback. Costs nothing to peers that are never asked; where one is, its worker keeps 4 bytes
  // for it.
  PeerId id() const;

  // The handler's own state of this peer, made by T's default constructor when first asked for. May
  // be used from Handler::upgrade on; it is destroyed on the worker's thread when the connection's
  // row is given back, after Handler::close. Costs nothing to peers that have none; one that has
  // some costs 8 bytes and the allocation of a T and a pointer. One T for each handler: to ask with
  // another one aborts.
  template <class T>
  T& data() {
    std::unique_ptr<Kept>& kept = data_place();
    if (kept == nullptr) kept = std::make_unique<Kept::Of<T>>();
    return value_of<T>(*kept);
  }
  // The same where it exists, else null.
  template <class T>
  T* find_data() {
    Kept* kept = existing_data();
    return kept == nullptr ? nullptr : &value_of<T>(*kept);
  }

 private:
  template <class T>
  static T& value_of(Kept& kept) {
    auto* held = dynamic_cast<Kept::Of<T>*>(&kept);
    if (held == nullptr) wrong_data_type();
    return held->value;
  }
  [[noreturn]] static void wrong_data_type();
  std::unique_ptr<Kept>& data_place();
  Kept* existing_data() const;

  server::Worker* worker_;
  int descriptor_;
};

}  // namespace holdfast

template <>
struct std::hash<holdfast::PeerId> {
  std::size_t operator()(const holdfast::PeerId& id) const noexcept {
    const std::uint64_t place = std::uint64_t{id.worker} << 32 | id.descriptor;
    return std::hash<std::uint64_t>()(place * 0x9E3779B97F4A7C15u ^ id.serial);
  }
};
