#pragma once

// One WebSocket in the client's role (RFC 6455 4.1), on a loop that its caller turns.
//
//   kOver ─connect─► kConnecting ─► kHandshaking ─101─► kOpen ─close()─► kClosing ─┐
//     ▲                  │               │                │  the server's Close    │
//     └────── kFailed ───┴───────────────┘                └───────► kEnding ◄──────┘
//     └────── kClosed, when TCP has ended or the deadline has passed ──┘
//
// With wss:// kSecuring, the handshake of TLS, comes before kHandshaking.
//
// Each next() goes on where the last one stopped: the received bytes that are still to be read lie
// in the loop's buffer, since the loop is not asked for its next completion before they are used
// up.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "client/link_tls.h"
#include "client/target.h"
#include "holdfast/client.h"
#include "net/loop.h"
#include "protocol/http_response.h"
#include "protocol/session.h"

namespace holdfast::client {

// Used by one thread.
class Link {
 public:
  // Both outlive the link. The loop has no other descriptors than the link's.
  Link(net::Loop& loop, const ClientOptions& options);

  // As Client's.
  std::optional<std::string> connect(std::string_view url);
  std::optional<ClientEvent> next(Duration longest);
  bool send(MessageKind kind, Bytes payload);
  void close(std::uint16_t code, std::string_view reason);
  bool is_open() const { return state_ == State::kOpen; }
  bool is_over() const { return state_ == State::kOver; }
  std::uint64_t queued_bytes() const {
    return out_.size() - out_sent_ + (tls_ == nullptr ? 0 : tls_->unsent().size());
  }
  std::string_view subprotocol() const { return subprotocol_; }

 private:
  enum class State : std::uint8_t {
    kOver,
    kConnecting,
    kSecuring,
    kHandshaking,
    kOpen,
    kClosing,
    kEnding
  };

  std::optional<ClientEvent> take(const net::Completion& completion);
  std::optional<ClientEvent> read_input();
  std::optional<ClientEvent> read_plaintext();
  std::optional<ClientEvent> open_record();
  std::optional<ClientEvent> read_answer();
  std::optional<ClientEvent> take_acceptance();
  std::optional<ClientEvent> take_frame(const protocol::Event& event);
  std::optional<ClientEvent> take_end(int error);
  std::optional<ClientEvent> fail_tls(const protocol::TlsOpened& opened);
  std::optional<ClientEvent> flush();
  Bytes unsent();
  void note_taken(std::size_t bytes);
  void note_said(std::size_t bytes);
  void say_last_word(protocol::TlsAlert alert);
  std::optional<ClientEvent> look_at_clock();
  Instant due() const;

  Result<void> prepare_tls();
  void send_request();
  void write_frame(protocol::Opcode opcode, Bytes payload);
  void write_close(std::uint16_t code, std::string_view reason);
  protocol::MaskKey new_mask();
  void end_with(std::uint16_t code, std::string_view reason);
  ClientEvent finish(ClientEvent event);
  ClientEvent fail(std::string reason, int status = 0);
  ClientEvent cut(std::uint16_t code, std::string reason);

  net::Loop& loop_;
  const ClientOptions& options_;
  protocol::HttpLimits http_limits_;
  protocol::SessionLimits session_limits_;
  protocol::HttpResponseParser parser_;
  std::optional<protocol::Session> session_;
  Target target_;
  std::string key_;
  std::string subprotocol_;

  State state_ = State::kOver;
  net::Descriptor descriptor_ = -1;
  Instant deadline_ = kNever;  // of the opening, or of the ending
  Instant heard_at_{};
  std::unique_ptr<LinkTls> tls_;  // for wss://
  MutableBytes input_;            // received and not yet read
  std::vector<std::byte> out_;    // to be sent, from out_sent_ on
  std::size_t out_sent_ = 0;
  bool socket_full_ = false;
  bool woken_ = false;
  std::uint16_t code_ = 0;  // kClosing, kEnding: what kClosed will tell
  std::string reason_;      // what the last event's reason points to
  std::array<std::byte, 256> randomness_;
  std::size_t randomness_left_ = 0;
};

}  // namespace holdfast::client
