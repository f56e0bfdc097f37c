// What a worker's open connections hear and say.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "load/message.h"
#include "load/worker.h"

namespace holdfast::load {
namespace {

// Echoes sent in one go; then arrivals have their turn.
constexpr std::uint32_t kEchoesPerTurnMax = 512;

// A Pong without payload, as it answers nearly every Ping. Its mask covers nothing, so it need not
// be new each time.
constexpr std::array<std::byte, 6> kMaskedPong = {std::byte{0x8A}, std::byte{0x80},
                                                  std::byte{0x5a}, std::byte{0xc3},
                                                  std::byte{0x96}, std::byte{0x0f}};

}  // namespace

void Worker::on_frames(net::Descriptor descriptor, MutableBytes bytes) {
  protocol::Session session(protocol::Role::kClient, &session_limits_);
  if (records_[descriptor].has_session) {
    const auto kept = sessions_.find(descriptor);
    session = std::move(kept->second);
    sessions_.erase(kept);
    records_[descriptor].has_session = false;
  }
  while (const auto event = session.next(bytes)) {
    on_event(descriptor, *event);
    const State state = records_[descriptor].state;
    if (state != State::kOpen && state != State::kJoining) return;
  }
  if (session.at_rest()) return;
  sessions_.emplace(descriptor, std::move(session));
  records_[descriptor].has_session = true;
}

void Worker::on_event(net::Descriptor descriptor, const protocol::Event& event) {
  using Kind = protocol::Event::Kind;
  if (records_[descriptor].state == State::kJoining) return on_joining(descriptor, event);
  switch (event.kind) {
    case Kind::kPing:
      return on_ping(descriptor, event.payload);
    case Kind::kText:
    case Kind::kBinary:
      return on_message(records_[descriptor], event.payload);
    case Kind::kPong:
      return;
    case Kind::kClose: {
      const std::string reason = fmt::format("close {}", event.code);
      if (event.code == static_cast<std::uint16_t>(protocol::CloseCode::kNoStatus)) {
        send_frame(descriptor, protocol::Opcode::kClose, {});
      } else {
        send_close(descriptor, event.code);
      }
      outbox_.say_last_word(descriptor, protocol::TlsAlert::kCloseNotify);
      lose(descriptor, reason);
      ++tally_.server_closed;
      return loop_.close(descriptor);
    }
    case Kind::kViolation:
      send_close(descriptor, event.code);
      outbox_.say_last_word(descriptor, protocol::TlsAlert::kCloseNotify);
      lose(descriptor, fmt::format("broke the protocol: {}", event.reason));
      return loop_.close(descriptor);
  }
}

void Worker::on_ping(net::Descriptor descriptor, Bytes payload) {
  ConnectionRecord& record = records_[descriptor];
  if (record.pings != UINT16_MAX) ++record.pings;
  tally_.ping();
  if (payload.empty()) {
    outbox_.send(descriptor, kMaskedPong);
  } else {
    send_frame(descriptor, protocol::Opcode::kPong, payload);
  }
}

void Worker::on_message(ConnectionRecord& record, Bytes payload) {
  MessageFacts& facts = tally_.messages;
  tally_.received(payload.size());
  if (plan_.options->protocol == Speech::kPusher) {
    const std::string_view text = as_text(payload);
    const PusherWord word = pusher_word(text);
    if (word == PusherWord::kPong && plan_.traffic == Traffic::kClientPing) ++facts.received;
    if (word != PusherWord::kEvent) return;
    payload = as_bytes(pusher_data(text).value_or(""));
  }
  if (plan_.traffic == Traffic::kNone || plan_.traffic == Traffic::kClientPing) {
    ++facts.foreign;
    return;
  }
  const auto message = read_message(payload);
  const bool echo = plan_.traffic == Traffic::kEcho;
  const auto sender =
      echo ? static_cast<std::uint32_t>(plan_.first_ordinal + record.ordinal) : plan_.run;
  if (!message || message->sender != sender || payload.size() != plan_.options->message_bytes ||
      (echo && message->sequence >= record.sent)) {
    ++(echo ? facts.wrong : facts.foreign);
    return;
  }
  switch (record.arrived.note(message->sequence)) {
    case SequenceWindow::Arrival::kDuplicate:
      ++facts.duplicates;
      return;
    case SequenceWindow::Arrival::kLate:
      ++facts.reordered;
      break;
    case SequenceWindow::Arrival::kNew:
      break;
  }
  ++facts.received;
  tally_.latency(plan_.clock() - message->intended);
}

// ---- sending

protocol::MaskKey Worker::next_mask() {
  random_ += 0x9e3779b97f4a7c15;
  const std::uint64_t mixed = (random_ ^ random_ >> 32) * 0xbf58476d1ce4e5b9;
  protocol::MaskKey mask;
  std::memcpy(mask.data(), reinterpret_cast<const char*>(&mixed) + 4, mask.size());
  return mask;
}

void Worker::send_frame(net::Descriptor descriptor, protocol::Opcode opcode,
                        std::span<const std::byte> payload, bool deflated) {
  const MutableBytes frame = outbox_.room(protocol::kFrameHeaderBytesMax + payload.size());
  const protocol::MaskKey mask = next_mask();
  const std::size_t head =
      protocol::write_frame_header(frame.data(), opcode, true, payload.size(), &mask, deflated);
  const MutableBytes body = frame.subspan(head, payload.size());
  if (!payload.empty()) std::memcpy(body.data(), payload.data(), payload.size());
  protocol::apply_mask(body, mask);
  outbox_.send(descriptor, frame.first(head + payload.size()));
}

void Worker::send_close(net::Descriptor descriptor, std::uint16_t code) {
  const MutableBytes frame = outbox_.room(protocol::kCloseFrameBytesMax);
  const protocol::MaskKey mask = next_mask();
  outbox_.send(descriptor, frame.first(protocol::write_close_frame(frame.data(), code, "", &mask)));
}

// Written where it leaves from, or, to be compressed, aside first.
void Worker::send_echo(net::Descriptor descriptor, ConnectionRecord& record, Instant intended) {
  const std::uint32_t size = plan_.options->message_bytes;
  const Message message{static_cast<std::uint32_t>(plan_.first_ordinal + record.ordinal),
                        record.sent++, intended};
  if (plan_.options->deflate) {
    message_.resize(size);
    write_message(message_, message);
    const auto deflated = deflater_.deflate(message_);
    return send_frame(descriptor, protocol::Opcode::kText, deflated ? *deflated : Bytes(message_),
                      deflated.has_value());
  }
  const MutableBytes frame = outbox_.room(protocol::kFrameHeaderBytesMax + size);
  const protocol::MaskKey mask = next_mask();
  const std::size_t head =
      protocol::write_frame_header(frame.data(), protocol::Opcode::kText, true, size, &mask);
  const MutableBytes body = frame.subspan(head, size);
  write_message(body, message);
  protocol::apply_mask(body, mask);
  outbox_.send(descriptor, frame.first(head + size));
}

// Each member in its turn, on the schedule: in the order of descriptors, which is that of the
// kernel's memory.
void Worker::echo_due(Instant now) {
  if (!echo_pacer_) return;
  for (std::uint32_t i = 0;
       i < kEchoesPerTurnMax && echo_pacer_->next_due() <= now && !outbox_.full(); ++i) {
    const net::Descriptor descriptor = members_[next_member_];
    next_member_ = next_member_ + 1 == members_.size() ? 0 : next_member_ + 1;
    const Instant intended = echo_pacer_->next_due();
    echo_pacer_->advance();
    ConnectionRecord& record = records_[descriptor];
    if (record.state != State::kOpen) continue;
    if (!outbox_.can_take(descriptor)) {
      ++tally_.messages.unsent;
      continue;
    }
    if (plan_.traffic == Traffic::kClientPing) {
      send_frame(descriptor, protocol::Opcode::kText, as_bytes(kPusherPing));
    } else {
      send_echo(descriptor, record, intended);
    }
    tally_.messages.lateness.record(plan_.clock() - intended);
    ++tally_.messages.sent;
    tally_.sent();
  }
}

void Worker::publish_due(Instant now) {
  const std::uint32_t before = publisher_.published();
  for (const net::Descriptor descriptor : publisher_.send_due(now)) {
    records_[descriptor] = {};
    records_[descriptor].state = State::kPublisher;
  }
  for (std::uint32_t i = before; i < publisher_.published(); ++i) tally_.sent();
}

// What could not be sent because the server did not read is missing like what did not come back.
void Worker::count_expected_echoes() {
  if (plan_.traffic == Traffic::kEcho || plan_.traffic == Traffic::kClientPing)
    tally_.messages.expected = tally_.messages.sent + tally_.messages.unsent;
}

}  // namespace holdfast::load
