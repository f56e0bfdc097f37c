#pragma once

// The frame of RFC 6455 5.2, as it is written and masked. Session (session.h) reads it.
//
//   byte 0  FIN RSV1 RSV2 RSV3 opcode(4)
//   byte 1  MASK length(7)
//   then    0, 2 or 8 bytes of length, 0 or 4 bytes of mask, the payload
//
// A length of 126 says that 2 more bytes hold it, 127 that 8 do, big-endian; each length in its
// shortest form only.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::protocol {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

using MaskKey = std::array<std::byte, 4>;

inline constexpr std::size_t kFrameHeaderBytesMax = 14;
inline constexpr std::size_t kControlPayloadBytesMax = 125;  // RFC 6455 5.5
inline constexpr std::size_t kCloseReasonBytesMax = kControlPayloadBytesMax - 2;
inline constexpr std::size_t kCloseFrameBytesMax = 2 + 4 + kControlPayloadBytesMax;

// Bits of the first two bytes.
inline constexpr std::uint8_t kFinalBit = 0x80;
inline constexpr std::uint8_t kRsv1Bit = 0x40;
inline constexpr std::uint8_t kRsvBits = 0x70;
inline constexpr std::uint8_t kOpcodeBits = 0x0F;
inline constexpr std::uint8_t kControlBit = 0x08;
inline constexpr std::uint8_t kMaskBit = 0x80;
inline constexpr std::uint8_t kLengthBits = 0x7F;
inline constexpr std::uint8_t kLength16 = 126;
inline constexpr std::uint8_t kLength64 = 127;

// An unmasked Ping and Pong without payload, as a server sends them to every silent peer.
inline constexpr std::array<std::byte, 2> kPingFrame = {std::byte{0x89}, std::byte{0x00}};
inline constexpr std::array<std::byte, 2> kPongFrame = {std::byte{0x8A}, std::byte{0x00}};

// Bytes of the header of such a frame: 2..14.
constexpr std::size_t frame_header_bytes(std::uint64_t payload_bytes, bool masked) {
  const std::size_t length_bytes = payload_bytes < kLength16 ? 0 : payload_bytes <= 0xFFFF ? 2 : 8;
  return 2 + length_bytes + (masked ? 4 : 0);
}

// Writes a frame's header to `out` (room for kFrameHeaderBytesMax) and returns its size. The length
// takes its shortest form. A client gives a `mask` (RFC 6455 5.3) and applies it to the payload
// itself; a server gives none. `payload_bytes` is below 2^63, and at most 125 for a control frame.
std::size_t write_frame_header(std::byte* out, Opcode opcode, bool final,
                               std::uint64_t payload_bytes, const MaskKey* mask = nullptr,
                               bool rsv1 = false);

// Masks or unmasks in place (the same operation, RFC 6455 5.3). `offset`: how many bytes of the
// same payload lie before these. Any alignment.
void apply_mask(MutableBytes bytes, MaskKey key, std::size_t offset = 0);

// Writes a whole Close frame to `out` (room for kCloseFrameBytesMax) and returns its size. `code`
// must be one that may_be_sent(), or 1005 for a Close without code, which then has no reason
// either. `reason` is UTF-8 and is cut at a character's boundary to kCloseReasonBytesMax.
std::size_t write_close_frame(std::byte* out, std::uint16_t code, std::string_view reason,
                              const MaskKey* mask = nullptr);

// The payload of a whole frame that is not masked.
Bytes payload_of_frame(Bytes frame);

}  // namespace holdfast::protocol
