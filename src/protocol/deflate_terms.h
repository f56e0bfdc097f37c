#pragma once

// On what terms two ends compress messages: the negotiation of permessage-deflate (RFC 7692 7.1).
//
//   client: permessage-deflate; server_max_window_bits=10, permessage-deflate
//   server: permessage-deflate; server_max_window_bits=10
//
// The client offers, the best first; the server takes one.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/http_header.h"

namespace holdfast::protocol {

inline constexpr std::uint8_t kWindowBitsMin = 8;   // RFC 7692 7.1.2: 256 bytes
inline constexpr std::uint8_t kWindowBitsMax = 15;  // 32 KiB, also where nothing is said
// In an offer alone, "client_max_window_bits" without a value: the server may choose.
inline constexpr std::uint8_t kAnyWindowBits = 0;

// One offer or answer, as its text has it.
struct DeflateTerms {
  // That side forgets its window after each message, so that the other needs none between two.
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<std::uint8_t> server_max_window_bits = {};
  std::optional<std::uint8_t> client_max_window_bits = {};

  // The windows that an answer binds the sides to.
  std::uint8_t server_window_bits() const {
    return server_max_window_bits.value_or(kWindowBitsMax);
  }
  std::uint8_t client_window_bits() const {
    return client_max_window_bits.value_or(kWindowBitsMax);
  }
  bool operator==(const DeflateTerms&) const = default;
};

inline constexpr std::size_t kDeflateTermsBytesMax = 128;
// Writes "permessage-deflate; …" to `out`, room for kDeflateTermsBytesMax, and returns its size.
std::size_t write_deflate_terms(char* out, const DeflateTerms& terms);

// --- server

// What a server is ready to keep for a peer.
struct DeflatePolicy {
  bool takeover = false;  // windows, from one message to the next; without, both sides forget them
  std::uint8_t window_bits = kWindowBitsMax;  // with takeover: the largest that is kept; 9..15
};

// The answer to the first offer in `headers` that is well formed and that can be kept; an offer
// with an unknown, repeated or malformed parameter is passed over (RFC 7692 7.1). Nothing: there is
// none, and the answer has no Sec-WebSocket-Extensions.
std::optional<DeflateTerms> accept_deflate(std::span<const HttpHeader> headers,
                                           const DeflatePolicy& policy);

// --- client

struct DeflateAnswer {
  std::optional<DeflateTerms> terms;  // nothing: the server declined
  std::string_view wrong;  // static text: the answer breaks RFC 7692, fail the connection; or empty
};

// Reads a server's answer to `offer`, the only extension that was offered.
DeflateAnswer read_deflate_answer(std::span<const HttpHeader> headers, const DeflateTerms& offer);

}  // namespace holdfast::protocol
