#pragma once

// One WebSocket in the client's role. It has no thread: the one that calls next() runs it, and
// events are pulled.
//
//   Client client;
//   if (auto problem = client.connect("ws://127.0.0.1:8080/echo")) … say it …
//   while (!client.is_over()) {
//     const auto event = client.next(std::chrono::seconds(1));
//     if (event && event->kind == ClientEvent::Kind::kOpen) client.send("hello");
//     if (event && event->kind == ClientEvent::Kind::kText) … as_text(event->payload) …
//   }

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/bytes.h"
#include "holdfast/peer.h"
#include "holdfast/request.h"

namespace holdfast {

struct ClientOptions {
  using Milliseconds = std::chrono::milliseconds;

  std::vector<std::string> subprotocols = {};  // offered, the best first
  Headers headers = {};  // of the handshake, beside its own: Authorization, Origin, Cookie
  Milliseconds open_timeout{10'000};  // from connect() to the end of the handshake
  Milliseconds close_timeout{1'000};  // for the server's end of the close handshake, and of TCP
  // Silence after which the server counts as gone; 0: never. A server that pings (Holdfast: every
  // 25 s) is never silent for long.
  Milliseconds silence_max{0};
  std::uint32_t message_bytes_max = 1024 * 1024;  // of what comes: beyond it, close 1009
  std::uint32_t fragments_max = 1024;  // of one message that comes: beyond it, close 1008
  // That wait for a server which reads slowly; send() refuses beyond it.
  std::uint64_t queue_bytes_max = 16 * 1024 * 1024;

  // wss://. Whom to trust, a file of certificates as PEM; empty: those whom the system trusts.
  std::string tls_ca_file = {};
  // Whom the certificate must name; empty: the URL's host.
  std::string tls_server_name = {};
  // False: whoever answers is believed, so anybody on the way may read and change everything. For
  // tries alone.
  bool tls_verify = true;
};

struct ClientEvent {
  enum class Kind : std::uint8_t {
    kOpen,    // the handshake is done
    kText,    // a whole message; `payload` is valid UTF-8
    kBinary,  // a whole message
    kClosed,  // it was open and is over: `code`, `reason`
    kFailed,  // it never opened: `status`, `reason`
  };
  Kind kind;
  Bytes payload = {};      // lives until the next call of next()
  std::uint16_t code = 0;  // kClosed: the server's, 1005 when it gave none, 1006 when there was no
                           // Close, or ours for what it did wrong
  int status = 0;          // kFailed: of the HTTP answer, 0 when there was none
  std::string_view reason = {};  // for a person, or the server's words; lives as long as payload
};

// Used by one thread, but for wake().
class Client {
 public:
  explicit Client(ClientOptions options = {});
  // Cuts what is open; close() and next() until is_over() end it properly.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Begins to connect to "ws://HOST[:PORT][/PATH][?QUERY]", or "wss://": TLS 1.2 or 1.3, and one
  // that comes back to the same server resumes; how it went is told by next(). A name
  // is resolved here, blocking: give an address where that matters. Returns what is wrong with the
  // URL, the options or the system, else nothing. May be called again when it is over.
  std::optional<std::string> connect(std::string_view url);

  // Waits at most `longest` for an event, milliseconds::max() for ever. Nothing: none came, or
  // wake() was called. Messages that came together are handed over one by one; behind the last of
  // them it sends what is queued, and answers pings: call it on and on, at least every few seconds.
  std::optional<ClientEvent> next(std::chrono::milliseconds longest);

  // Queues a message for the next call of next(); the payload is copied. False, and nothing is
  // queued, when it is not open or queue_bytes_max would be exceeded.
  bool send(MessageKind kind, Bytes payload);
  bool send(std::string_view text) { return send(MessageKind::kText, as_bytes(text)); }
  // Starts the close handshake; kClosed tells its end. `code` and `reason` as Peer::close.
  void close(std::uint16_t code = 1000, std::string_view reason = {});

  bool is_open() const;
  // Nothing will come any more: never connected, failed, or closed.
  bool is_over() const;
  std::uint64_t queued_bytes() const;
  // What the server chose of the offer; empty when nothing.
  std::string_view subprotocol() const;

  // Any thread: a next() that waits returns at once.
  void wake();

 private:
  struct Parts;
  ClientOptions options_;
  std::string problem_;  // why there are no parts
  std::unique_ptr<Parts> parts_;
};

}  // namespace holdfast
