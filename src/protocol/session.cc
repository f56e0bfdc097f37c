#include "protocol/session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "protocol/message_inflater.h"

namespace holdfast::protocol {
namespace {

constexpr std::size_t kMaskBytes = 4;

std::uint64_t read_big_endian(const std::uint8_t* bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[i];
  return value;
}

bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & kControlBit) != 0; }

constexpr std::uint32_t opcode_bit(Opcode opcode) {
  return std::uint32_t{1} << static_cast<std::uint8_t>(opcode);
}
constexpr std::uint32_t kKnownOpcodes =
    opcode_bit(Opcode::kContinuation) | opcode_bit(Opcode::kText) | opcode_bit(Opcode::kBinary) |
    opcode_bit(Opcode::kClose) | opcode_bit(Opcode::kPing) | opcode_bit(Opcode::kPong);

// The event of a frame or message of each opcode; kViolation where it has none of its own.
constexpr std::array<Event::Kind, 16> kKinds = [] {
  std::array<Event::Kind, 16> kinds;
  kinds.fill(Event::Kind::kViolation);
  kinds[static_cast<std::size_t>(Opcode::kText)] = Event::Kind::kText;
  kinds[static_cast<std::size_t>(Opcode::kBinary)] = Event::Kind::kBinary;
  kinds[static_cast<std::size_t>(Opcode::kClose)] = Event::Kind::kClose;
  kinds[static_cast<std::size_t>(Opcode::kPing)] = Event::Kind::kPing;
  kinds[static_cast<std::size_t>(Opcode::kPong)] = Event::Kind::kPong;
  return kinds;
}();
Event::Kind kind_of(Opcode opcode) { return kKinds[static_cast<std::size_t>(opcode)]; }

}  // namespace

// The way of nearly all traffic: nothing is held, and a frame of at most 125 bytes that is a whole
// message lies whole in the input. Whatever differs in the least, and every error, goes the slow
// way.
std::optional<Event> Session::next_frame(MutableBytes& input) {
  const std::size_t mask_bytes = role_ == Role::kServer ? kMaskBytes : 0;
  if (!unburdened_ || input.size() < 2 + mask_bytes) return next_slow(input);
  const auto first = static_cast<std::uint8_t>(input[0]);
  const auto opcode = static_cast<Opcode>(first & kOpcodeBits);
  const Event::Kind kind = kind_of(opcode);
  // Once the expected mask bit is taken out, a wrong one is left and makes the length too large.
  const auto length = static_cast<std::uint8_t>(static_cast<std::uint8_t>(input[1]) ^
                                                (mask_bytes != 0 ? kMaskBit : 0));
  const std::size_t frame_bytes = 2 + mask_bytes + length;
  if ((first & ~kOpcodeBits) != kFinalBit || kind >= Event::Kind::kClose ||
      length > kControlPayloadBytesMax || frame_bytes > input.size() ||
      length > limits_->message_bytes_max) {
    return next_slow(input);
  }
  const MutableBytes payload = input.subspan(2 + mask_bytes, length);
  if (mask_bytes != 0 && length != 0) {
    MaskKey mask;
    std::memcpy(mask.data(), &input[2], kMaskBytes);
    apply_mask(payload, mask);
  }
  input = input.subspan(frame_bytes);
  if (opcode == Opcode::kText && !is_valid_utf8(payload)) {
    return violation(CloseCode::kInvalidPayload, "text is not UTF-8");
  }
  return Event{kind, payload};
}

std::optional<Event> Session::next_slow(MutableBytes& input) {
  auto event = advance(input);
  unburdened_ = at_rest() && !over_ && !delivered_;
  return event;
}

std::optional<Event> Session::advance(MutableBytes& input) {
  if (delivered_) end_delivery();
  while (!over_) {
    if (!in_payload_) {
      auto wrong = take_header(input);
      if (!in_payload_) return wrong;
    }
    auto event = take_payload(input);
    if (event || in_payload_) return event;
  }
  input = {};
  return std::nullopt;
}

void Session::end_delivery() {
  delivered_ = false;
  gathered_.truncate(message_bytes_);
  if (limits_->inflater != nullptr) limits_->inflater->release();
}

// Reads as far as the next part of the header lets it be judged: the first two bytes, the length,
// the mask.
std::optional<Event> Session::take_header(MutableBytes& input) {
  if (!fill_header(input, 2)) return std::nullopt;
  if (const std::string_view wrong = wrong_first_bytes(); !wrong.empty()) {
    return violation(CloseCode::kProtocolError, wrong);
  }
  const auto opcode = static_cast<Opcode>(header_[0] & kOpcodeBits);
  if (opcode == Opcode::kContinuation && fragments_ >= limits_->fragments_max) {
    return violation(CloseCode::kPolicyViolation, "too many fragments");
  }

  const std::uint8_t short_length = header_[1] & kLengthBits;
  const std::size_t length_bytes = short_length == kLength64   ? 8
                                   : short_length == kLength16 ? 2
                                                               : 0;
  if (!fill_header(input, 2 + length_bytes)) return std::nullopt;
  std::uint64_t payload_bytes = short_length;
  if (length_bytes != 0) {
    payload_bytes = read_big_endian(header_ + 2, length_bytes);
    // RFC 6455 5.2: "the minimal number of bytes MUST be used", and the most significant bit of 64
    // must be 0.
    if (payload_bytes >> 63 != 0) {
      return violation(CloseCode::kProtocolError, "length above 2^63");
    }
    if (frame_header_bytes(payload_bytes, false) != 2 + length_bytes) {
      return violation(CloseCode::kProtocolError, "length not in its shortest form");
    }
  }
  const bool compressed =
      opcode == Opcode::kContinuation ? compressed_ : (header_[0] & kRsv1Bit) != 0;
  if (!is_control(opcode) && payload_bytes > payload_bytes_max(compressed) - message_bytes_) {
    return violation(CloseCode::kMessageTooBig, "message too big");
  }

  const std::size_t mask_bytes = role_ == Role::kServer ? kMaskBytes : 0;
  if (!fill_header(input, 2 + length_bytes + mask_bytes)) return std::nullopt;
  std::memcpy(mask_.data(), header_ + 2 + length_bytes, mask_bytes);
  begin_payload(payload_bytes);
  return std::nullopt;
}

// Whether the header has `size` bytes now.
bool Session::fill_header(MutableBytes& input, std::size_t size) {
  if (header_size_ >= size) return true;
  const std::size_t taken = std::min(size - header_size_, input.size());
  if (taken != 0) std::memcpy(header_ + header_size_, input.data(), taken);
  header_size_ = static_cast<std::uint8_t>(header_size_ + taken);
  input = input.subspan(taken);
  return header_size_ == size;
}

// What cannot be compressed grows; by so much at most with zlib, whatever its settings. The limit
// of the message itself is looked at while inflating.
std::uint32_t Session::payload_bytes_max(bool compressed) const {
  const std::uint64_t bytes = limits_->message_bytes_max;
  if (!compressed) return limits_->message_bytes_max;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(
      bytes + bytes / 8 + bytes / 64 + 64, std::numeric_limits<std::uint32_t>::max()));
}

// Static text, or nothing when they are right.
std::string_view Session::wrong_first_bytes() const {
  const auto opcode = static_cast<Opcode>(header_[0] & kOpcodeBits);
  const bool final = (header_[0] & kFinalBit) != 0;
  const bool masked = (header_[1] & kMaskBit) != 0;
  const std::uint8_t length = header_[1] & kLengthBits;
  // RFC 6455 5.2: RSV bits "MUST be 0 unless an extension is negotiated"; an unknown opcode fails
  // the connection. RFC 7692 6: RSV1 marks a compressed message, on its first frame and never on a
  // control frame.
  const bool first_of_message = opcode == Opcode::kText || opcode == Opcode::kBinary;
  const bool may_be_compressed = limits_->inflater != nullptr && first_of_message;
  if ((header_[0] & kRsvBits & ~(may_be_compressed ? kRsv1Bit : 0)) != 0) {
    return "reserved bit set";
  }
  if ((kKnownOpcodes >> (header_[0] & kOpcodeBits) & 1) == 0) return "reserved opcode";
  // RFC 6455 5.1: clients mask every frame, servers none.
  if (masked != (role_ == Role::kServer))
    return masked ? "masked frame from a server" : "frame without mask";
  if (is_control(opcode)) {
    // RFC 6455 5.5: control frames have at most 125 bytes "and MUST NOT be fragmented".
    if (!final) return "fragmented control frame";
    if (length > kControlPayloadBytesMax) return "control frame too long";
    if (opcode == Opcode::kClose && length == 1) return "close code cut short";
    return {};
  }
  // RFC 6455 5.4: the fragments of one message "MUST NOT be interleaved" with another's.
  const bool open = message_opcode_ != Opcode::kContinuation;
  if (opcode == Opcode::kContinuation && !open) return "continuation of nothing";
  if (opcode != Opcode::kContinuation && open) return "new message inside a message";
  return {};
}

void Session::begin_payload(std::uint64_t payload_bytes) {
  opcode_ = static_cast<Opcode>(header_[0] & kOpcodeBits);
  final_ = (header_[0] & kFinalBit) != 0;
  payload_left_ = static_cast<std::uint32_t>(payload_bytes);
  payload_taken_ = 0;
  in_payload_ = true;
  header_size_ = 0;
  if (opcode_ == Opcode::kClose) {
    // RFC 6455 5.5.1: no data follows a Close, so a message that is still open will never be whole.
    message_opcode_ = Opcode::kContinuation;
    message_bytes_ = 0;
    gathered_.release();
    utf8_.reset();
  } else if (!is_control(opcode_)) {
    if (opcode_ != Opcode::kContinuation) {
      message_opcode_ = opcode_;
      compressed_ = (header_[0] & kRsv1Bit) != 0;
      fragments_ = 0;
      utf8_.reset();
    }
    ++fragments_;
    message_bytes_ += payload_left_;
  }
}

std::optional<Event> Session::take_payload(MutableBytes& input) {
  const std::size_t seen = payload_taken_;
  MutableBytes part = input.first(std::min<std::size_t>(payload_left_, input.size()));
  input = input.subspan(part.size());
  if (role_ == Role::kServer) apply_mask(part, mask_, seen);

  // A message or control frame that lies whole in the input is not copied.
  const bool alone = final_ && seen == 0 && part.size() == payload_left_ &&
                     (is_control(opcode_) || fragments_ == 1);
  if (!alone && !part.empty()) {
    const bool last = final_ || is_control(opcode_);
    gathered_.append(part,
                     last ? gathered_.size() + payload_left_ : payload_bytes_max(compressed_));
  }
  payload_taken_ += static_cast<std::uint32_t>(part.size());
  payload_left_ -= static_cast<std::uint32_t>(part.size());

  MutableBytes payload = part;
  if (!alone) payload = gathered_.from(is_control(opcode_) ? gathered_.size() - payload_taken_ : 0);
  std::optional<Event> wrong;
  if (opcode_ == Opcode::kClose) wrong = check_close(payload, seen);
  if (!is_control(opcode_) && message_opcode_ == Opcode::kText && !compressed_) {
    wrong = check_text(part);
  }
  if (wrong || payload_left_ != 0) return wrong;

  in_payload_ = false;
  delivered_ = !alone;
  return finish_frame(payload);
}

// RFC 6455 8.1: text that is not UTF-8 fails the connection; here as soon as its bytes show it.
std::optional<Event> Session::check_text(Bytes part) {
  const bool valid = utf8_.feed(part);
  const bool ended = final_ && payload_left_ == 0;
  if (valid && (!ended || utf8_.complete())) return std::nullopt;
  return violation(CloseCode::kInvalidPayload, "text is not UTF-8");
}

// `payload` is what there is of it; `seen` bytes of that were checked before.
std::optional<Event> Session::check_close(Bytes payload, std::size_t seen) {
  if (payload.size() < 2) return std::nullopt;
  if (seen < 2 && !may_be_sent(static_cast<std::uint16_t>(static_cast<unsigned>(payload[0]) << 8 |
                                                          static_cast<unsigned>(payload[1])))) {
    return violation(CloseCode::kProtocolError, "close code that must not be sent");
  }
  const bool valid = utf8_.feed(payload.subspan(std::max<std::size_t>(seen, 2)));
  if (valid && (payload_left_ != 0 || utf8_.complete())) return std::nullopt;
  return violation(CloseCode::kInvalidPayload, "close reason is not UTF-8");
}

// Nothing for a fragment that does not end its message.
std::optional<Event> Session::finish_frame(MutableBytes payload) {
  if (opcode_ == Opcode::kClose) {
    over_ = true;
    Event event{Event::Kind::kClose, payload, static_cast<std::uint16_t>(CloseCode::kNoStatus)};
    if (payload.size() >= 2) {
      event.code = static_cast<std::uint16_t>(static_cast<unsigned>(payload[0]) << 8 |
                                              static_cast<unsigned>(payload[1]));
      event.reason = as_text(payload.subspan(2));
    }
    return event;
  }
  if (is_control(opcode_)) return Event{kind_of(opcode_), payload};
  if (!final_) {
    delivered_ = false;
    return std::nullopt;
  }
  if (compressed_) return finish_compressed(payload);
  const Event event{kind_of(message_opcode_), payload};
  message_opcode_ = Opcode::kContinuation;
  message_bytes_ = 0;
  return event;
}

// RFC 7692 6.2: a message is decompressed whole, its fragments joined.
Event Session::finish_compressed(Bytes payload) {
  using Outcome = MessageInflater::Outcome;
  const Outcome outcome = limits_->inflater->inflate(payload, limits_->message_bytes_max);
  if (outcome == Outcome::kTooBig) return violation(CloseCode::kMessageTooBig, "message too big");
  if (outcome == Outcome::kCorrupt) {
    return violation(CloseCode::kInvalidPayload, "message is not DEFLATE");
  }
  const MutableBytes message = limits_->inflater->message();
  if (message_opcode_ == Opcode::kText && !is_valid_utf8(message)) {
    return violation(CloseCode::kInvalidPayload, "text is not UTF-8");
  }
  const Event event{kind_of(message_opcode_), message};
  gathered_.release();
  delivered_ = true;
  message_opcode_ = Opcode::kContinuation;
  message_bytes_ = 0;
  return event;
}

Event Session::violation(CloseCode code, std::string_view reason) {
  over_ = true;
  unburdened_ = false;
  header_size_ = 0;
  in_payload_ = false;
  delivered_ = false;
  message_opcode_ = Opcode::kContinuation;
  gathered_.release();
  if (limits_->inflater != nullptr) limits_->inflater->release();
  return Event{Event::Kind::kViolation, {}, static_cast<std::uint16_t>(code), reason};
}

}  // namespace holdfast::protocol
