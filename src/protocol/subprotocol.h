#pragma once

// Which sub-protocols a client offers (RFC 6455 1.9, 11.3.4).

#include <span>
#include <string_view>
#include <vector>

#include "protocol/http_header.h"

namespace holdfast::protocol {

// Whether a value of Sec-WebSocket-Protocol is a list of tokens with at least one in it (RFC
// 6455 4.3: 1#token).
bool is_subprotocol_list(std::string_view value);

// What all Sec-WebSocket-Protocol fields offer together, in their order. Views into the headers.
std::vector<std::string_view> offered_subprotocols(std::span<const HttpHeader> headers);

// Whether `name` is among them. Case counts: the names are compared as they are registered.
bool offers_subprotocol(std::span<const HttpHeader> headers, std::string_view name);

}  // namespace holdfast::protocol
