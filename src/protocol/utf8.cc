#include "protocol/utf8.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "holdfast/utf8.h"

namespace holdfast::protocol {
namespace {

// Bytes of the character that `lead` begins; 0 for a byte that begins none.
std::size_t character_bytes(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;  // a continuation byte, or an overlong form of two bytes
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// How many bytes at the end of `bytes` belong to a character that is not whole: 0..3.
std::size_t open_tail(Bytes bytes) {
  const std::size_t most = std::min<std::size_t>(3, bytes.size());
  for (std::size_t back = 1; back <= most; ++back) {
    const auto byte = static_cast<std::uint8_t>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return character_bytes(byte) > back ? back : 0;
  }
  return 0;
}

// Short text is mostly ASCII, and eight bytes a step are then done before a call into simdjson
// would be.
constexpr std::size_t kShortBytes = 128;
bool is_ascii(Bytes bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t seen = 0;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    seen |= word;
  }
  for (; left > 0; ++at, --left) seen |= static_cast<std::uint64_t>(*at);
  return (seen & kHighBits) == 0;
}

}  // namespace

bool is_valid_utf8(Bytes bytes) {
  if (bytes.size() <= kShortBytes && is_ascii(bytes)) return true;
  return simdjson::validate_utf8(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool Utf8Checker::feed(Bytes bytes) {
  while (missing_ > 0 && !failed_ && !bytes.empty()) {
    step(static_cast<std::uint8_t>(bytes.front()));
    bytes = bytes.subspan(1);
  }
  if (failed_ || bytes.empty()) return !failed_;
  const std::size_t tail = open_tail(bytes);
  if (!is_valid_utf8(bytes.first(bytes.size() - tail))) {
    failed_ = true;
    return false;
  }
  for (std::byte byte : bytes.last(tail)) {
    if (!step(static_cast<std::uint8_t>(byte))) return false;
  }
  return true;
}

// RFC 3629 4, the rules UTF8-1 to UTF8-4: which second byte each first byte admits; all later ones
// are 80..BF.
bool Utf8Checker::step(std::uint8_t byte) {
  if (missing_ > 0) {
    failed_ = byte < low_ || byte > high_;
    --missing_;
    low_ = 0x80;
    high_ = 0xBF;
    return !failed_;
  }
  const std::size_t size = character_bytes(byte);
  failed_ = size == 0;
  if (failed_) return false;
  missing_ = static_cast<std::uint8_t>(size - 1);
  low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;   // shorter forms exist
  high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;  // surrogates; above U+10FFFF
  return true;
}

}  // namespace holdfast::protocol

bool holdfast::is_utf8(Bytes bytes) { return protocol::is_valid_utf8(bytes); }
