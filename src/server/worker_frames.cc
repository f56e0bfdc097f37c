// A connection's second life: frames.

#include <algorithm>

#include "protocol/close_code.h"
#include "protocol/frame.h"
#include "server/worker.h"

namespace holdfast::server {

void Worker::take_frames(int descriptor, Connection& connection, MutableBytes bytes) {
  note_alive(connection);
  if (connection.is_event_stream()) return;  // it has nothing to say
  protocol::Session session =
      connection.busy != nullptr && connection.busy->session
          ? std::move(*connection.busy->session)
          : protocol::Session(protocol::Role::kServer, &session_limits(connection));
  const bool limited = rates_.are_limited();
  if (limited && !rates_.take_bytes(descriptor, loop_.now(), bytes.size()))
    return take_too_much(descriptor, connection);
  while (const auto event = session.next(bytes)) {
    if (limited && !rates_.take_message(descriptor, loop_.now()))
      return take_too_much(descriptor, connection);
    take_event(descriptor, connection, *event);
    // The handler, or what the peer said, may have ended it: then nothing that follows is to be
    // read.
    if (connection.state != State::kOpen && connection.state != State::kClosing) break;
  }
  const bool goes_on = connection.state == State::kOpen || connection.state == State::kClosing;
  if (!goes_on || session.at_rest()) {
    if (connection.busy != nullptr) connection.busy->session.reset();
  } else {
    connection.make_busy().session = std::move(session);
  }
  connection.rest();
}

// Something came of it.
void Worker::note_alive(Connection& connection) {
  if (connection.state != State::kOpen) return;
  connection.since = tick_of(loop_.now());
  connection.clear(Connection::kPinged);
}

void Worker::take_event(int descriptor, Connection& connection, const protocol::Event& event) {
  using Kind = protocol::Event::Kind;
  const bool is_open = connection.state == State::kOpen;
  switch (event.kind) {
    case Kind::kPong:
      counters_.pongs_received.add();
      return;
    case Kind::kPing: {
      if (!is_open) return;
      std::byte* out = transmit_.reserve(protocol::kFrameHeaderBytesMax + event.payload.size());
      const std::size_t header =
          protocol::write_frame_header(out, protocol::Opcode::kPong, true, event.payload.size());
      std::copy(event.payload.begin(), event.payload.end(), out + header);
      return queue(descriptor, connection, {out, header + event.payload.size()}, -1);
    }
    case Kind::kText:
    case Kind::kBinary: {
      counters_.messages_received.add();
      if (!is_open) return;
      Handler& handler = router_.handler(connection.route);
      if (handler.wants_promptness()) prompt_until_ = loop_.now() + std::chrono::seconds(1);
      Peer peer(*this, descriptor);
      return handler.message(peer,
                             event.kind == Kind::kText ? MessageKind::kText : MessageKind::kBinary,
                             event.payload);
    }
    case Kind::kClose: {
      if (is_open) {
        // RFC 6455 5.5.1: a Close is answered with a Close, usually of the same code.
        std::byte* out = transmit_.reserve(protocol::kCloseFrameBytesMax);
        queue(descriptor, connection, {out, protocol::write_close_frame(out, event.code, {})}, -1);
        tell_closed(descriptor, connection, event.code);
        return linger(descriptor, connection, Ending::kPeerClosed);
      }
      connection.set(Connection::kPeerDone);
      return linger(descriptor, connection, static_cast<Ending>(connection.ending));
    }
    case Kind::kViolation:
      return take_violation(descriptor, connection, event);
  }
}

// One that talks too fast (RFC 6455 7.4.1, 1008).
void Worker::take_too_much(int descriptor, Connection& connection) {
  if (connection.state == State::kOpen)
    close(descriptor, 1008, "too many messages", Ending::kTooFast);
  linger(descriptor, connection, Ending::kTooFast);
  if (connection.busy != nullptr) connection.busy->session.reset();
  connection.rest();
}

// RFC 6455 7.1.7: say why, end the sending side, and read no more.
void Worker::take_violation(int descriptor, Connection& connection, const protocol::Event& event) {
  const auto code = static_cast<protocol::CloseCode>(event.code);
  const bool too_big =
      code == protocol::CloseCode::kMessageTooBig || code == protocol::CloseCode::kPolicyViolation;
  const Ending ending = too_big ? Ending::kTooBig : Ending::kViolation;
  if (connection.state == State::kOpen) {
    close(descriptor, event.code, event.reason, ending);
  }
  linger(descriptor, connection, ending);
}

// Our side of the close handshake.
void Worker::close(int descriptor, std::uint16_t code, std::string_view reason, Ending ending) {
  Connection& connection = table_[descriptor];
  if (connection.state != State::kOpen) return;
  const std::uint16_t told = ending == Ending::kHandler ? code : 1006;
  if (connection.is_event_stream()) return end_stream(descriptor, connection, told, ending);
  std::byte* out = transmit_.reserve(protocol::kCloseFrameBytesMax);
  queue(descriptor, connection, {out, protocol::write_close_frame(out, code, reason)}, -1);
  begin_closing(descriptor, connection, ending, told);
}

// Our Close is said; the handler is told of `code`.
void Worker::begin_closing(int descriptor, Connection& connection, Ending ending,
                           std::uint16_t code) {
  connection.end_as(ending);
  begin_close_deadline(descriptor, connection);
  tell_closed(descriptor, connection, code);
}

void Worker::send(int descriptor, MessageKind kind, Bytes payload, std::string_view event_id) {
  Connection& connection = table_[descriptor];
  if (connection.state != State::kOpen) return;
  const bool is_stream = connection.is_event_stream();
  if (is_stream && kind != MessageKind::kText) return;
  counters_.messages_sent.add();
  if (is_stream) return send_event(descriptor, connection, event_id, as_text(payload));
  const auto opcode =
      kind == MessageKind::kText ? protocol::Opcode::kText : protocol::Opcode::kBinary;
  if (connection.deflate != 0) return send_deflated(descriptor, connection, opcode, payload);
  send_message(descriptor, connection, opcode, payload, false);
}

void Worker::send_message(int descriptor, Connection& connection, protocol::Opcode opcode,
                          Bytes payload, bool deflated) {
  std::byte* out = transmit_.reserve(protocol::kFrameHeaderBytesMax + payload.size());
  const std::size_t header =
      protocol::write_frame_header(out, opcode, true, payload.size(), nullptr, deflated);
  std::copy(payload.begin(), payload.end(), out + header);
  queue(descriptor, connection, {out, header + payload.size()}, -1);
}

}  // namespace holdfast::server
