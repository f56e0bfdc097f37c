#pragma once

// Who is behind the proxies that an operator trusts: X-Forwarded-For (a custom) and Forwarded (RFC
// 7239).
//
//   client ──► proxy A ──► proxy B ──► us
//   X-Forwarded-For: <what the client claimed>, client, A
//
// Each proxy writes down whom it saw, so the last word is the nearest hop's. What stands left of
// the first hop that is not trusted was said by a stranger and is worth nothing.

#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.h"
#include "protocol/http_header.h"

namespace holdfast::protocol {

// Which field the proxies write. One alone is read: the other could be passed through as a client
// sent it.
enum class ForwardedField : std::uint8_t { kXForwardedFor, kForwarded };

// The rightmost hop that is not in `trusted`; the leftmost one when all are. `nearest` is the peer
// itself, whom the caller trusts; nothing where it has no address (a local proxy). Where a hop
// cannot be read ("unknown", an obfuscated name, RFC 7239 6.3), the one right of it is the farthest
// that is known. Ports are ignored.
std::optional<IpAddress> forwarded_client(std::span<const HttpHeader> headers, ForwardedField field,
                                          std::span<const IpNetwork> trusted,
                                          std::optional<IpAddress> nearest);

}  // namespace holdfast::protocol
