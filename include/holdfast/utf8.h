#pragma once

// Whether bytes may be sent as text. A text message is UTF-8 (RFC 6455 5.6), and a browser closes
// with 1007 when one is not: whoever publishes what a peer gave him in a name, a query or a binary
// message, and does not look, lets that peer disconnect everybody else. What Handler::message gets
// as text was looked at already.

#include <string_view>

#include "holdfast/bytes.h"

namespace holdfast {

// Whether it is UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF,
// no character cut. Empty is. Gigabytes a second; any thread.
bool is_utf8(Bytes bytes);
inline bool is_utf8(std::string_view text) { return is_utf8(as_bytes(text)); }

}  // namespace holdfast
