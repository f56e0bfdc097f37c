#pragma once

// Compresses messages for permessage-deflate (RFC 7692 7.2.1).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "protocol/deflate_terms.h"
#include "protocol/message_inflater.h"

struct z_stream_s;

namespace holdfast::protocol {

// The smallest window in which a message of so many bytes can refer to all of itself; 9..15.
std::uint8_t window_bits_of(std::size_t message_bytes);

// Writes one message at a time, in its own memory: kept from the first message on, nothing before.
// Used by one thread; an address, so it does not move.
class MessageDeflater {
 public:
  // `window_bits`: at most what the receiver keeps; 8..15.
  explicit MessageDeflater(Takeover takeover = Takeover::kNone,
                           std::uint8_t window_bits = kWindowBitsMax);
  ~MessageDeflater();
  MessageDeflater(const MessageDeflater&) = delete;
  MessageDeflater& operator=(const MessageDeflater&) = delete;

  // The payload of a message whose first frame has RSV1 set; it lives until the next call. Nothing,
  // without takeover, when it would not be smaller than the message: send that as it is. With
  // takeover it must be sent, and in this order, for the receiver's window moves along.
  std::optional<Bytes> deflate(Bytes message);
  // The next message refers to none before it. For a receiver whose window has moved without us.
  void forget() { forgets_ = true; }

  // What a stream of these window bits allocates, without its output.
  static std::size_t stream_bytes(std::uint8_t window_bits);

 private:
  struct EndStream {
    void operator()(z_stream_s* stream) const;
  };
  struct Free {
    void operator()(std::byte* bytes) const;
  };

  void prepare();
  void grow(std::size_t capacity);

  std::unique_ptr<z_stream_s, EndStream> stream_;
  std::unique_ptr<std::byte, Free> output_;
  std::size_t capacity_ = 0;
  Takeover takeover_;
  std::uint8_t window_bits_;
  bool forgets_ = false;
};

}  // namespace holdfast::protocol
