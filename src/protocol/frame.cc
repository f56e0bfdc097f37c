#include "protocol/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "protocol/close_code.h"

namespace holdfast::protocol {
namespace {

void write_big_endian(std::byte* out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  }
}

// At most `bytes_max` bytes of `text`, without cutting a character in two.
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// XORs `bytes` by one unit, of whatever alignment.
template <class Unit>
void mask_unit(std::byte* bytes, Unit key) {
  Unit unit;
  std::memcpy(&unit, bytes, sizeof(unit));
  unit ^= key;
  std::memcpy(bytes, &unit, sizeof(unit));
}

// A vector register that every 64-bit machine has.
using Block = std::uint64_t __attribute__((vector_size(16)));

// The key as it falls on the byte `offset` of a payload, in memory order.
std::uint32_t turned(MaskKey key, std::size_t offset) {
  const auto bits = std::bit_cast<std::uint32_t>(key);
  const int turn = static_cast<int>(offset & 3) * 8;
  return std::endian::native == std::endian::little ? std::rotr(bits, turn) : std::rotl(bits, turn);
}

}  // namespace

std::size_t write_frame_header(std::byte* out, Opcode opcode, bool final,
                               std::uint64_t payload_bytes, const MaskKey* mask, bool rsv1) {
  CHECK(payload_bytes >> 63 == 0);
  CHECK((static_cast<std::uint8_t>(opcode) & kControlBit) == 0 ||
        (final && payload_bytes <= kControlPayloadBytesMax));
  out[0] = static_cast<std::byte>((final ? kFinalBit : 0) | (rsv1 ? kRsv1Bit : 0) |
                                  static_cast<std::uint8_t>(opcode));
  const std::uint8_t mask_bit = mask != nullptr ? kMaskBit : 0;
  std::size_t size = 2;
  if (payload_bytes < kLength16) {
    out[1] = static_cast<std::byte>(mask_bit | payload_bytes);
  } else if (payload_bytes <= 0xFFFF) {
    out[1] = static_cast<std::byte>(mask_bit | kLength16);
    write_big_endian(out + 2, payload_bytes, 2);
    size += 2;
  } else {
    out[1] = static_cast<std::byte>(mask_bit | kLength64);
    write_big_endian(out + 2, payload_bytes, 8);
    size += 8;
  }
  if (mask != nullptr) {
    std::memcpy(out + size, mask->data(), mask->size());
    size += mask->size();
  }
  return size;
}

void apply_mask(MutableBytes bytes, MaskKey key, std::size_t offset) {
  std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  const std::uint32_t four = turned(key, offset);
  const std::uint64_t eight = std::uint64_t{four} << 32 | four;
  if (left >= 64) {
    // Four units a step, written out: the compiler's own unrolling of a loop goes through memory.
    for (const Block block = {eight, eight}; left >= 64; at += 64, left -= 64) {
      mask_unit(at, block);
      mask_unit(at + 16, block);
      mask_unit(at + 32, block);
      mask_unit(at + 48, block);
    }
  }
  for (; left >= 8; at += 8, left -= 8) mask_unit(at, eight);
  if (left >= 4) {
    mask_unit(at, four);
    at += 4;
    left -= 4;
  }
  const auto rest = std::bit_cast<MaskKey>(four);
  for (std::size_t i = 0; i < left; ++i) at[i] ^= rest[i];
}

std::size_t write_close_frame(std::byte* out, std::uint16_t code, std::string_view reason,
                              const MaskKey* mask) {
  const bool coded = code != static_cast<std::uint16_t>(CloseCode::kNoStatus);
  CHECK(coded ? may_be_sent(code) : reason.empty());
  reason = cut_utf8(reason, kCloseReasonBytesMax);
  const std::size_t payload_bytes = coded ? 2 + reason.size() : 0;
  const std::size_t header_bytes =
      write_frame_header(out, Opcode::kClose, true, payload_bytes, mask);
  if (coded) {
    write_big_endian(out + header_bytes, code, 2);
    std::copy(reason.begin(), reason.end(), reinterpret_cast<char*>(out + header_bytes + 2));
  }
  if (mask != nullptr) apply_mask({out + header_bytes, payload_bytes}, *mask);
  return header_bytes + payload_bytes;
}

Bytes payload_of_frame(Bytes frame) {
  const auto length = static_cast<std::uint8_t>(frame[1]) & kLengthBits;
  return frame.subspan(length == kLength64 ? 10 : length == kLength16 ? 4 : 2);
}

}  // namespace holdfast::protocol
