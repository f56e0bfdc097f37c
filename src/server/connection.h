#pragma once

// What the server knows of a connection: 16 bytes each, and a Busy only while it is in the middle
// of something.

#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "protocol/http_request.h"
#include "protocol/proxy_header.h"
#include "protocol/session.h"
#include "server/counters.h"
#include "server/outbox.h"
#include "server/stream_lender.h"

namespace holdfast::server {

// What an idle peer does not need: half a request, half a message, or bytes that the socket did not
// take. Only one that keeps its compression windows has a Busy all the time.
struct Busy {
  // On a listener behind a balancer, until the WebSocket opens: the header so far, then whom it
  // named.
  std::unique_ptr<protocol::ProxyHeaderParser> proxy;
  std::unique_ptr<protocol::HttpRequestParser> request;
  std::unique_ptr<TakeoverStreams> streams;
  std::optional<protocol::Session> session;
  Outbox outbox;
  // Of one that is being closed and reads what it is owed.
  struct Parting {
    Tick since;           // from when on
    std::uint64_t taken;  // bytes since then
  };
  std::optional<Parting> parting;
  // When its socket last took some of the outbox, as long as that has a rest.
  std::optional<Tick> took;

  bool is_empty() const {
    return proxy == nullptr && request == nullptr && streams == nullptr && !session &&
           outbox.is_empty();
  }
};

//          ┌─► kProxyHeader ─┐
//   kFree ─accept─────────► kRequest ─101─► kOpen ─our Close─► kClosing ─┐
//                              │              │                          ├─► kFree
//                              └─refusal──► kLingering ◄──violation──────┘
enum class State : std::uint8_t {
  kFree,
  kProxyHeader,  // a PROXY header is awaited or under way. Deadline: handshake_timeout, the request
                 // included
  kRequest,      // an HTTP request is awaited or under way. Deadline: handshake_timeout, its body
                 // included
  kOpen,         // a WebSocket
  kClosing,      // our Close is sent, the peer's is awaited. Deadline: close_timeout
  kLingering,    // our FIN is sent or due; what still comes is thrown away. Deadline: close_timeout
};

struct Connection {
  enum Flag : std::uint8_t {
    kPinged = 1,     // a ping is out; `since` is when it was sent
    kAligned = 2,    // kOpen: the last ping went out at this connection's own phase of the interval
    kKeptAlive = 2,  // kRequest: an earlier request was answered
    kQueued = 4,     // the transmit queue holds pieces for it in this turn
    kEndWhenSent = 8,  // after the last queued byte: FIN (kLingering) or close
    kRefuse = 16,      // over a limit: the request will be answered 503
    kWaitsWritable = 32,
    kCounted = 64,    // counted in Admission
    kPeerDone = 128,  // kLingering: the peer answered our Close or ended its side of TCP; nothing
                      // more comes, so TCP may end at once
  };

  std::unique_ptr<Busy> busy;
  // kOpen: last byte from the peer, or the ping while kPinged. Else what the deadline counts from:
  // when the state was entered; while kKeptAlive, the last answer, or the next request's first
  // byte.
  Tick since = 0;
  State state : 7 = State::kFree;
  bool tls : 1 = false;  // what it sends and gets is TLS, behind a PROXY header
  std::uint8_t flags = 0;
  std::uint8_t route = 0;  // of the listener, while that matters (PROXY header, TLS handshake);
                           // later the handler's
  std::uint8_t ending : 4 = 0;   // kClosing, kLingering: the Ending to count
  std::uint8_t deflate : 4 = 0;  // kOpen, kClosing: 0, or 1 + the window bits that
                                 // permessage-deflate lets us send with, less 8; or kEventStream;
                                 // before: the listener's DeflateChoice

  bool has(Flag flag) const { return (flags & flag) != 0; }
  void set(Flag flag) { flags = static_cast<std::uint8_t>(flags | flag); }
  void clear(Flag flag) { flags = static_cast<std::uint8_t>(flags & ~flag); }
  // kRequest: it was answered, and asks nothing more yet. The answer may still be going out.
  bool is_between_requests() const {
    return has(kKeptAlive) && (busy == nullptr || busy->request == nullptr);
  }
  static constexpr std::uint8_t kEventStream = 9;  // `deflate` of one that is no WebSocket
  static constexpr std::size_t kForms = 10;        // values of `deflate` that one may be sent in

  // kOpen: it reads server-sent events.
  bool is_event_stream() const { return deflate == kEventStream; }

  void end_as(Ending reason) { ending = static_cast<std::uint8_t>(reason) & 0xF; }
  void agree_on_deflate(std::uint8_t window_bits) {
    deflate = static_cast<std::uint8_t>(window_bits - protocol::kWindowBitsMin + 1) & 0xF;
  }
  static std::uint8_t window_bits_of(std::uint8_t deflate) {
    return static_cast<std::uint8_t>(deflate + protocol::kWindowBitsMin - 1);
  }
  TakeoverStreams* takeover_streams() const {
    return busy == nullptr ? nullptr : busy->streams.get();
  }
  Busy& make_busy() {
    if (busy == nullptr) busy = std::make_unique<Busy>();
    return *busy;
  }
  void rest() {
    if (busy != nullptr && busy->is_empty()) busy.reset();
  }
};
static_assert(sizeof(Connection) == 16, "a byte more is a megabyte more for a million of them");

}  // namespace holdfast::server
