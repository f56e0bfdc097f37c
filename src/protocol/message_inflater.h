#pragma once

// Decompresses messages of permessage-deflate (RFC 7692 7.2.2).

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "protocol/deflate_terms.h"

struct z_stream_s;

namespace holdfast::protocol {

// Which memory a compression stream has between two messages.
enum class Takeover : std::uint8_t {
  kNone,  // each message stands alone: one stream serves any number of peers in turn
  kKept,  // a message may refer to those before it: the stream belongs to one peer and direction
};

// Reads one message at a time, in its own memory: about 7 KiB and the window once the first message
// has come, nothing before. Used by one thread; an address, so it does not move.
class MessageInflater {
 public:
  enum class Outcome : std::uint8_t {
    kDone,
    kTooBig,   // there is more than was allowed; no more than that was made
    kCorrupt,  // not DEFLATE (RFC 1951), or it ends in the middle of a block
  };
  // What it keeps of its output's memory from one message to the next, without takeover.
  static constexpr std::size_t kKeptBytes = std::size_t{16} * 1024;

  // `window_bits`: at least what the sender may use; 8..15.
  explicit MessageInflater(Takeover takeover = Takeover::kNone,
                           std::uint8_t window_bits = kWindowBitsMax);
  ~MessageInflater();
  MessageInflater(const MessageInflater&) = delete;
  MessageInflater& operator=(const MessageInflater&) = delete;

  // Decompresses the payload of one whole message, its fragments joined. An empty payload is taken
  // for an empty message, as some compressors make it. After kTooBig and kCorrupt a stream with
  // Takeover::kKept is of no use any more.
  Outcome inflate(Bytes payload, std::size_t message_bytes_max);
  // After kDone. Lives until the next inflate() or release().
  MutableBytes message() { return {output_.get(), size_}; }
  // The message is no longer needed.
  void release();

 private:
  struct EndStream {
    void operator()(z_stream_s* stream) const;
  };
  struct Free {
    void operator()(std::byte* bytes) const;
  };

  void prepare();
  Outcome feed(Bytes input, std::size_t message_bytes_max);
  void grow(std::size_t capacity_max);

  std::unique_ptr<z_stream_s, EndStream> stream_;
  std::unique_ptr<std::byte, Free> output_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  Takeover takeover_;
  std::uint8_t window_bits_;
  bool at_boundary_ = true;  // no block is open
};

}  // namespace holdfast::protocol
