#pragma once

// Server-sent events, as a text/event-stream has them (WHATWG HTML, 9.2.5).

#include <cstddef>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::protocol {

inline constexpr std::string_view kEventStreamType = "text/event-stream";
// A line that clients pass over: it shows that the connection lives.
inline constexpr std::string_view kEventComment = ":\n\n";

// The bytes of one event: each line of `text` (which may end in CR, LF or both) becomes a line of
// data, which the client puts together again with LF. `id` is what the client gives as
// Last-Event-ID when it comes back; empty, or with a control character in it: none.
std::size_t event_bytes(std::string_view id, std::string_view text);
// Writes so many bytes.
void write_event(std::byte* out, std::string_view id, std::string_view text);

}  // namespace holdfast::protocol
