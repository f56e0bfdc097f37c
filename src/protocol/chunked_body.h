#pragma once

// The chunked transfer coding (RFC 9112 7.1), read strictly: llhttp 8.1 lets a bare CR end a
// chunk's line and bounds no extension, so this one state machine is ours.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "protocol/http_head.h"
#include "protocol/http_header.h"

namespace holdfast::protocol {

// Decodes one body. Extensions and trailers are read over; each line of a chunk, and all trailers
// together, may have head_bytes_max bytes.
class ChunkedBody {
 public:
  ChunkedBody() = default;

  // Consumes from the front of `input` and appends what it decodes to `body`, at most
  // `body_bytes_max` in all, whatever the limits say of that. kDone: `input` starts behind the
  // body. kError: error_status() and error_reason() as HttpRequestParser's.
  HttpProgress feed(Bytes& input, const HttpLimits& limits, std::uint64_t body_bytes_max,
                    std::vector<std::byte>& body);
  void reset() { *this = ChunkedBody(); }

  int error_status() const { return error_status_; }
  std::string_view error_reason() const { return error_reason_; }

 private:
  enum class State : std::uint8_t {
    kSize,       // hexadecimal digits
    kExtension,  // the rest of that line
    kSizeLf,     // CR was read
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
    kDone,
  };

  HttpProgress step(std::uint8_t byte, const HttpLimits& limits, std::uint64_t body_bytes_left);
  HttpProgress take_size_byte(std::uint8_t byte);
  HttpProgress take_trailers(Bytes& input, const HttpLimits& limits);
  bool is_field_so_far(Bytes part);
  HttpProgress fail(int status, std::string_view reason);

  State state_ = State::kSize;
  std::uint8_t digits_ = 0;
  std::uint64_t left_ = 0;        // of the chunk
  std::uint32_t line_bytes_ = 0;  // of the chunk's line, or of the trailers
  LineGuard guard_{true};
  enum class Trailer : std::uint8_t { kStart, kName, kValue } trailer_ = Trailer::kStart;
  int error_status_ = 0;
  std::string_view error_reason_;
};

}  // namespace holdfast::protocol
