#include "protocol/chunked_body.h"

#include <algorithm>

namespace holdfast::protocol {
namespace {

constexpr std::uint8_t kDigitsMax = 16;  // of a chunk's size: 64 bits

int hexadecimal(std::uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const int letter = byte | 0x20;
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

}  // namespace

HttpProgress ChunkedBody::feed(Bytes& input, const HttpLimits& limits, std::uint64_t body_bytes_max,
                               std::vector<std::byte>& body) {
  if (error_status_ != 0) return HttpProgress::kError;
  while (state_ != State::kDone && !input.empty()) {
    if (state_ == State::kTrailers) return take_trailers(input, limits);
    if (state_ == State::kData) {
      const Bytes part = input.first(std::min<std::uint64_t>(left_, input.size()));
      body.insert(body.end(), part.begin(), part.end());
      left_ -= part.size();
      input = input.subspan(part.size());
      if (left_ == 0) state_ = State::kDataCr;
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(input.front());
    input = input.subspan(1);
    if (step(byte, limits, body_bytes_max - body.size()) == HttpProgress::kError)
      return HttpProgress::kError;
  }
  return state_ == State::kDone ? HttpProgress::kDone : HttpProgress::kMore;
}

HttpProgress ChunkedBody::step(std::uint8_t byte, const HttpLimits& limits,
                               std::uint64_t body_bytes_left) {
  if (++line_bytes_ > limits.head_bytes_max) return fail(431, "chunk extension too long");
  switch (state_) {
    case State::kSize:
      return take_size_byte(byte);
    case State::kExtension:
      if (byte == '\r')
        state_ = State::kSizeLf;
      else if (byte != '\t' && (byte < 0x20 || byte == 0x7F))
        return fail(400, "control character in a chunk extension");
      break;
    case State::kSizeLf:
      if (byte != '\n') return fail(400, "CR without LF");
      if (left_ > body_bytes_left) return fail(413, "body too large");
      state_ = left_ == 0 ? State::kTrailers : State::kData;
      line_bytes_ = 0;
      break;
    case State::kDataCr:
      if (byte != '\r') return fail(400, "chunk longer than its size");
      state_ = State::kDataLf;
      break;
    case State::kDataLf:
      if (byte != '\n') return fail(400, "CR without LF");
      state_ = State::kSize;
      digits_ = 0;
      line_bytes_ = 0;
      break;
    case State::kData:
    case State::kTrailers:
    case State::kDone:
      break;  // feed() takes their bytes in bulk
  }
  return HttpProgress::kMore;
}

// RFC 9112 7.1: chunk-size = 1*HEXDIG, then CR LF, or ";" and extensions, before which white space
// is tolerated.
HttpProgress ChunkedBody::take_size_byte(std::uint8_t byte) {
  const int digit = hexadecimal(byte);
  if (digit >= 0) {
    if (++digits_ > kDigitsMax) return fail(400, "chunk size too long");
    left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
    return HttpProgress::kMore;
  }
  if (digits_ == 0) return fail(400, "chunk without size");
  if (byte == '\r')
    state_ = State::kSizeLf;
  else if (byte == ';' || byte == ' ' || byte == '\t')
    state_ = State::kExtension;
  else
    return fail(400, "chunk size is not hexadecimal");
  return HttpProgress::kMore;
}

// RFC 9112 7.1.2: lines as a head has them, name, colon, value. Nobody asks for them here, but what
// is no field in a head is none behind a body either. LineGuard sees to the lines' ends.
bool ChunkedBody::is_field_so_far(Bytes part) {
  for (const std::byte byte : part) {
    const char c = static_cast<char>(byte);
    if (c == '\r') {
      if (trailer_ == Trailer::kName) return false;
    } else if (c == '\n') {
      trailer_ = Trailer::kStart;
    } else if (trailer_ == Trailer::kValue) {
      if (!is_field_value({&c, 1})) return false;
    } else if (c == ':' && trailer_ == Trailer::kName) {
      trailer_ = Trailer::kValue;
    } else {
      if (!is_token_character(c)) return false;
      trailer_ = Trailer::kName;
    }
  }
  return true;
}

HttpProgress ChunkedBody::take_trailers(Bytes& input, const HttpLimits& limits) {
  const std::size_t room = limits.head_bytes_max - line_bytes_;
  const LineGuard::Stretch stretch = guard_.scan(input.first(std::min(room, input.size())));
  if (!is_field_so_far(input.first(stretch.bytes))) return fail(400, "malformed trailer");
  input = input.subspan(stretch.bytes);
  line_bytes_ += static_cast<std::uint32_t>(stretch.bytes);
  if (stretch.end) {
    state_ = State::kDone;
    return HttpProgress::kDone;
  }
  if (!stretch.wrong.empty()) return fail(400, stretch.wrong);
  if (line_bytes_ == limits.head_bytes_max) return fail(431, "trailers too large");
  return HttpProgress::kMore;
}

HttpProgress ChunkedBody::fail(int status, std::string_view reason) {
  error_status_ = status;
  error_reason_ = reason;
  return HttpProgress::kError;
}

}  // namespace holdfast::protocol
