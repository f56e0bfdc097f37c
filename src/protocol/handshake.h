#pragma once

// The opening handshake of RFC 6455 4, for both roles.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "protocol/deflate_terms.h"
#include "protocol/http_request.h"
#include "protocol/http_response.h"

namespace holdfast::protocol {

// --- server

struct HandshakeVerdict {
  int status;               // 101: accept. 400, 405 (answer with "Allow: GET"), 426 (with
                            // "Sec-WebSocket-Version: 13")
  std::string_view reason;  // static text for the response's body; empty with 101
  std::string_view key;     // with 101: Sec-WebSocket-Key, a view into the request
};

// Reads the client's side (RFC 6455 4.2.1): GET, HTTP/1.1, Upgrade lists websocket, Connection
// lists upgrade, version 13, one key of 16 bytes in base64, a well-formed Sec-WebSocket-Extensions
// if any (RFC 6455 9.1). Meant for requests with `upgrade`; any other gets 400.
HandshakeVerdict judge_handshake(const HttpRequest& request);

inline constexpr std::size_t kKeyBytes = 24;     // Sec-WebSocket-Key, in base64
inline constexpr std::size_t kAcceptBytes = 28;  // Sec-WebSocket-Accept, in base64
inline constexpr std::size_t kSubprotocolBytesMax = 256;
inline constexpr std::size_t kExtensionsBytesMax = kDeflateTermsBytesMax;
inline constexpr std::size_t kHandshakeResponseBytesMax = 640;

// Writes the whole 101 response (RFC 6455 4.2.2) to `out`, room for kHandshakeResponseBytesMax, and
// returns its size. `subprotocol`, when not empty, is a token that the client offered, of at most
// kSubprotocolBytesMax; `extensions` what was agreed on, of at most kExtensionsBytesMax. Any
// thread.
std::size_t write_handshake_response(std::byte* out, std::string_view key,
                                     std::string_view subprotocol = {},
                                     std::string_view extensions = {});

// --- client

// A new Sec-WebSocket-Key out of 16 random bytes (RFC 6455 4.1).
std::string make_key(std::span<const std::byte, 16> random);
// The client's request. `host` is "name" or "name:port", `target` begins with '/'. Both free of
// spaces and control characters: CHECKed, so the caller validates what an operator gave.
// `headers` come behind the handshake's own; names are tokens and values hold no control
// characters, which is CHECKed too.
std::string handshake_request(std::string_view host, std::string_view target, std::string_view key,
                              std::span<const HttpHeader> headers = {});
// Whether `accept` is the server's proof for `key` (RFC 6455 4.1, 4.2.2).
bool is_accept_of(std::string_view accept, std::string_view key);
// What is wrong with a response of status 101 (RFC 6455 4.1): static text, or nothing. Extensions
// and sub-protocols are for the caller to look at, who knows what was offered.
std::string_view wrong_with_acceptance(const HttpResponse& response, std::string_view key);

}  // namespace holdfast::protocol
