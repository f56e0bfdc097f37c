#include "protocol/message_deflater.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

// RFC 7692 7.2.1: a message ends with an empty block without compression, whose last four bytes,
// always these, are taken off.
constexpr std::array<std::byte, 4> kTail = {std::byte{0x00}, std::byte{0x00}, std::byte{0xFF},
                                            std::byte{0xFF}};
// RFC 7692 7.2.3.6: the empty message.
constexpr std::array<std::byte, 1> kEmptyMessage = {std::byte{0x00}};

// zlib's fastest: a server compresses for many. Not chosen by measurement yet; deflate_bench.cc has
// what is needed for it.
constexpr int kLevel = 1;
constexpr std::size_t kKeptBytes = std::size_t{16} * 1024;

// zlib refuses a window of 256 bytes. It never refers further back than its window less these, so
// that its 512 fit what keeps 256; a test holds it to that.
constexpr std::size_t kZlibReserveBytes = 262;
constexpr std::uint8_t kZlibWindowBitsMin = 9;
constexpr int zlib_window_bits(std::uint8_t window_bits) {
  return std::max(window_bits, kZlibWindowBitsMin);
}
// zlib's hash table and buffers, in proportion to the window: they are what a reset has to clear.
constexpr int memory_level(std::uint8_t window_bits) {
  return std::clamp(zlib_window_bits(window_bits) - 6, 3, 8);
}

}  // namespace

std::uint8_t window_bits_of(std::size_t message_bytes) {
  std::uint8_t bits = kZlibWindowBitsMin;
  while (bits < kWindowBitsMax && (std::size_t{1} << bits) < message_bytes + kZlibReserveBytes)
    ++bits;
  return bits;
}

void MessageDeflater::EndStream::operator()(z_stream_s* stream) const {
  deflateEnd(stream);
  delete stream;
}

void MessageDeflater::Free::operator()(std::byte* bytes) const { std::free(bytes); }

MessageDeflater::MessageDeflater(Takeover takeover, std::uint8_t window_bits)
    : takeover_(takeover), window_bits_(window_bits) {
  CHECK(window_bits >= kWindowBitsMin && window_bits <= kWindowBitsMax);
}

MessageDeflater::~MessageDeflater() = default;

// zconf.h: (1 << (windowBits + 2)) + (1 << (memLevel + 9)).
std::size_t MessageDeflater::stream_bytes(std::uint8_t window_bits) {
  return (std::size_t{1} << (zlib_window_bits(window_bits) + 2)) +
         (std::size_t{1} << (memory_level(window_bits) + 9));
}

std::optional<Bytes> MessageDeflater::deflate(Bytes message) {
  CHECK(message.size() <= std::numeric_limits<uInt>::max() - 1024);
  if (message.empty()) return kEmptyMessage;
  prepare();
  // Room in which a smaller one fits with its tail; one byte less tells that it ended there.
  const std::size_t enough = message.size() + kTail.size();
  if (capacity_ < enough) grow(enough);
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(message.data()));
  stream_->avail_in = static_cast<uInt>(message.size());
  std::size_t size = 0;
  while (true) {
    const std::size_t room = (takeover_ == Takeover::kNone ? enough : capacity_) - size;
    stream_->next_out = reinterpret_cast<Bytef*>(output_.get() + size);
    stream_->avail_out = static_cast<uInt>(room);
    const int result = ::deflate(stream_.get(), Z_SYNC_FLUSH);
    CHECK(result == Z_OK || result == Z_BUF_ERROR);
    size += room - stream_->avail_out;
    if (stream_->avail_out != 0) break;
    if (takeover_ == Takeover::kNone) return std::nullopt;
    grow(2 * capacity_);
  }
  CHECK(size > kTail.size() &&
        std::memcmp(output_.get() + size - kTail.size(), kTail.data(), kTail.size()) == 0);
  return Bytes(output_.get(), size - kTail.size());
}

void MessageDeflater::prepare() {
  if (capacity_ > kKeptBytes) {
    output_.reset();
    capacity_ = 0;
  }
  if (stream_ == nullptr) {
    stream_.reset(new z_stream_s{});
    CHECK(deflateInit2(stream_.get(), kLevel, Z_DEFLATED, -zlib_window_bits(window_bits_),
                       memory_level(window_bits_), Z_DEFAULT_STRATEGY) == Z_OK);
  } else if (takeover_ == Takeover::kNone || forgets_) {
    CHECK(deflateReset(stream_.get()) == Z_OK);
  }
  forgets_ = false;
}

void MessageDeflater::grow(std::size_t capacity) {
  capacity_ = capacity;
  auto* moved = static_cast<std::byte*>(std::realloc(output_.release(), capacity_));
  CHECK(moved != nullptr);
  output_.reset(moved);
}

}  // namespace holdfast::protocol
