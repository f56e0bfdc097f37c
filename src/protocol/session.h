#pragma once

// One WebSocket after its handshake (RFC 6455 5): bytes in, events out.
//
//   Session session(Role::kServer, &limits);
//   while (auto event = session.next(input)) { … }  // input is empty now
//   if (session.at_rest()) …                        // nothing to remember: throw the session away
//
// Between two frames outside a message a Session has no state worth keeping, so an idle peer needs
// none: construct one on the stack when bytes come, and keep it only if it is not at_rest()
// afterwards.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "protocol/close_code.h"
#include "protocol/frame.h"
#include "protocol/gather_buffer.h"
#include "protocol/utf8.h"

namespace holdfast::protocol {

class MessageInflater;

// Which end we are. A server demands masked frames, a client unmasked ones (RFC 6455 5.1).
enum class Role : std::uint8_t { kServer, kClient };

// What a session is told, and lent.
struct SessionLimits {
  std::uint32_t message_bytes_max = 65536;  // of one message, all fragments together and
                                            // decompressed: beyond it, 1009
  std::uint32_t fragments_max = 1024;       // frames of one message: beyond it, 1008
  // Both ends agreed on permessage-deflate (RFC 7692); null: they did not. Reads a compressed
  // message once its last byte has come, so that any number of sessions can use it in turn.
  MessageInflater* inflater = nullptr;
};

struct Event {
  enum class Kind : std::uint8_t {
    kText,       // a whole message; `payload` is valid UTF-8
    kBinary,     // a whole message
    kPing,       // answer with a Pong of the same payload
    kPong,       //
    kClose,      // the peer closes. Nothing comes after it
    kViolation,  // the peer broke the protocol or a limit: close with `code`. Nothing comes after
                 // it
  };
  Kind kind;
  MutableBytes payload =
      {};  // unmasked. kClose: code and reason as they were sent. kViolation: empty
  std::uint16_t code =
      0;  // kClose: the peer's code, or 1005 when it gave none. kViolation: the code to close with
  std::string_view reason = {};  // kClose: the peer's reason, valid UTF-8. kViolation: static text
                                 // for logs and the Close frame
};

// Used by one thread at a time. Owns memory only while a frame or message is incomplete, and from
// the delivery of a gathered message to the next call of next(). Movable; an event stays valid when
// its session is moved.
class Session {
 public:
  // `limits` must outlive the session.
  Session(Role role, const SessionLimits* limits) : limits_(limits), role_(role) {}

  // Consumes from the front of `input` and returns the next event, or nothing when more bytes are
  // needed; `input` is empty then and what was incomplete has been stored. Unmasks in place. The
  // event's views point into `input`'s memory when a message or control frame lay whole in it, else
  // into the session or the inflater; they live until the next call of next(). Errors (an Event of
  // kViolation, told at the earliest byte that shows them, or at the last byte of a compressed
  // message): 1002 for framing, 1007 for text that is not UTF-8 and for what is not DEFLATE, 1008
  // for too many fragments, 1009 for too many bytes. After kClose or kViolation all input is
  // swallowed.
  std::optional<Event> next(MutableBytes& input) {
    if (input.empty() && unburdened_) return std::nullopt;
    return next_frame(input);
  }

  // Whether nothing is held of a frame or message that has begun: this session may be destroyed
  // once its last event is no longer needed, and a fresh one may take the next bytes. Also true
  // after kClose and kViolation (RFC 6455 7.1.1: nothing that follows is to be read; the caller
  // remembers that).
  bool at_rest() const {
    return header_size_ == 0 && !in_payload_ && message_opcode_ == Opcode::kContinuation;
  }

  // Bytes of memory owned beside sizeof(Session); for accounting.
  std::size_t owned_bytes() const { return gathered_.capacity(); }

 private:
  std::optional<Event> next_frame(MutableBytes& input);
  [[gnu::noinline]] std::optional<Event> next_slow(MutableBytes& input);
  std::optional<Event> advance(MutableBytes& input);
  std::optional<Event> take_header(MutableBytes& input);
  bool fill_header(MutableBytes& input, std::size_t size);
  std::string_view wrong_first_bytes() const;
  std::uint32_t payload_bytes_max(bool compressed) const;
  void begin_payload(std::uint64_t payload_bytes);
  std::optional<Event> take_payload(MutableBytes& input);
  std::optional<Event> check_text(Bytes part);
  std::optional<Event> check_close(Bytes payload, std::size_t seen);
  std::optional<Event> finish_frame(MutableBytes payload);
  Event finish_compressed(Bytes payload);
  void end_delivery();
  Event violation(CloseCode code, std::string_view reason);

  const SessionLimits* limits_;
  // The open message's fragments; behind them, while one is incomplete, the payload of a control
  // frame.
  GatherBuffer gathered_;
  // The frame that is being read.
  std::uint32_t payload_left_ = 0;
  std::uint32_t payload_taken_ = 0;
  MaskKey mask_{};
  std::uint8_t header_[kFrameHeaderBytesMax];
  std::uint8_t header_size_ = 0;
  bool in_payload_ = false;
  bool final_ = false;
  Opcode opcode_ = Opcode::kContinuation;
  // The message that is open; kContinuation when there is none.
  Opcode message_opcode_ = Opcode::kContinuation;
  bool compressed_ = false;  // its first frame had RSV1 set
  bool over_ = false;        // kClose or kViolation was told
  bool delivered_ = false;   // the last event's payload lies in gathered_ or in the inflater
  Role role_;
  bool unburdened_ = true;  // at rest, not over, nothing delivered: the fast way is open
  Utf8Checker utf8_;        // of the open text message, or of a Close frame's reason
  std::uint32_t message_bytes_ = 0;
  std::uint32_t fragments_ = 0;
};
static_assert(sizeof(Session) <= 96,
              "lives on the stack of every receive, and is kept for every half-sent frame");

}  // namespace holdfast::protocol
