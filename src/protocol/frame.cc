#include "protocol/frame.h"

#include <algorithm>
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

// 64 bytes at a time, in vector registers of whatever width the target has. memcpy keeps it free of
// alignment.
using Block = std::uint64_t __attribute__((vector_size(16)));

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

  // The key as it falls on `at`, twice: 8 is a multiple of 4, so the same word serves all the way.
  std::array<std::byte, 8> turned;
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = key[(offset + i) & 3];
  std::uint64_t word;
  std::memcpy(&word, turned.data(), sizeof(word));

  const Block block = {word, word};
  for (; left >= 4 * sizeof(Block); at += 4 * sizeof(Block), left -= 4 * sizeof(Block)) {
    Block part[4];
    std::memcpy(part, at, sizeof(part));
    for (Block& one : part) one ^= block;
    std::memcpy(at, part, sizeof(part));
  }
  for (; left >= sizeof(word); at += sizeof(word), left -= sizeof(word)) {
    std::uint64_t part;
    std::memcpy(&part, at, sizeof(part));
    part ^= word;
    std::memcpy(at, &part, sizeof(part));
  }
  for (std::size_t i = 0; i < left; ++i) at[i] ^= turned[i];
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
    std::memcpy(out + header_bytes + 2, reason.data(), reason.size());
  }
  if (mask != nullptr) apply_mask({out + header_bytes, payload_bytes}, *mask);
  return header_bytes + payload_bytes;
}

}  // namespace holdfast::protocol
