#include "protocol/message_inflater.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

// RFC 7692 7.2.2: what the sender took off the end, and the receiver puts back.
constexpr std::array<std::byte, 4> kTail = {std::byte{0x00}, std::byte{0x00}, std::byte{0xFF},
                                            std::byte{0xFF}};
// z_stream::data_type after inflate() (zlib.h, under Z_BLOCK): no block is open, and how many bits
// of the last byte are not used yet.
constexpr int kBetweenBlocks = 128;
constexpr int kUnusedBits = 63;
constexpr std::size_t kOutputBytesMin = 1024;

}  // namespace

void MessageInflater::EndStream::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

void MessageInflater::Free::operator()(std::byte* bytes) const { std::free(bytes); }

MessageInflater::MessageInflater(Takeover takeover, std::uint8_t window_bits)
    : takeover_(takeover), window_bits_(window_bits) {
  CHECK(window_bits >= kWindowBitsMin && window_bits <= kWindowBitsMax);
}

MessageInflater::~MessageInflater() = default;

MessageInflater::Outcome MessageInflater::inflate(Bytes payload, std::size_t message_bytes_max) {
  size_ = 0;
  if (payload.empty()) return Outcome::kDone;
  prepare();
  Outcome outcome = feed(payload, message_bytes_max);
  // RFC 7692 7.2.3.4: a sender may end with a final block. The empty one that it must put behind it
  // is ended by the tail; who forgot it left nothing open.
  const bool ended = stream_->avail_in == 0 && at_boundary_;
  if (outcome == Outcome::kDone && !ended) outcome = feed(kTail, message_bytes_max);
  if (outcome == Outcome::kDone && !at_boundary_) outcome = Outcome::kCorrupt;
  return outcome;
}

void MessageInflater::prepare() {
  if (stream_ == nullptr) {
    stream_.reset(new z_stream_s{});
    CHECK(inflateInit2(stream_.get(), -int{window_bits_}) == Z_OK);  // raw DEFLATE: negative
  } else if (takeover_ == Takeover::kNone) {
    CHECK(inflateReset(stream_.get()) == Z_OK);
  }
}

MessageInflater::Outcome MessageInflater::feed(Bytes input, std::size_t message_bytes_max) {
  CHECK(input.size() <= std::numeric_limits<uInt>::max());
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
  stream_->avail_in = static_cast<uInt>(input.size());
  while (true) {
    // One byte more than is allowed, to see whether there is one.
    if (size_ == capacity_) grow(message_bytes_max + 1);
    const std::size_t room = std::min(capacity_, message_bytes_max + 1) - size_;
    stream_->next_out = reinterpret_cast<Bytef*>(output_.get() + size_);
    stream_->avail_out = static_cast<uInt>(room);
    const int result = ::inflate(stream_.get(), Z_SYNC_FLUSH);
    CHECK(result != Z_MEM_ERROR && result != Z_STREAM_ERROR);
    size_ += room - stream_->avail_out;
    if (size_ > message_bytes_max) return Outcome::kTooBig;
    if (result == Z_STREAM_END) {
      // A final block ends the stream, not the message. This forgets the block and keeps the window
      // that the next ones may refer to; copying the window out and in again would let a peer buy
      // 64 KiB of copying with two bytes.
      CHECK(inflateResetKeep(stream_.get()) == Z_OK);
      at_boundary_ = true;
      if (stream_->avail_in == 0) return Outcome::kDone;
      continue;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) return Outcome::kCorrupt;
    at_boundary_ = (stream_->data_type & (kBetweenBlocks | kUnusedBits)) == kBetweenBlocks;
    if (stream_->avail_in == 0 && stream_->avail_out != 0) return Outcome::kDone;
  }
}

// By doubling, so that memory follows what there is and not what might be.
void MessageInflater::grow(std::size_t capacity_max) {
  const std::size_t wanted = std::max(2 * capacity_, kOutputBytesMin);
  capacity_ = std::max(std::min(wanted, capacity_max), size_ + 1);
  auto* moved = static_cast<std::byte*>(std::realloc(output_.release(), capacity_));
  CHECK(moved != nullptr);
  output_.reset(moved);
}

void MessageInflater::release() {
  size_ = 0;
  if (takeover_ == Takeover::kNone && capacity_ <= kKeptBytes) return;
  output_.reset();
  capacity_ = 0;
}

}  // namespace holdfast::protocol
