#pragma once

// What the generator sends, and reads back. All of it is printable, so that it may travel as text:
//
//   sender (8 hex) │ sequence (8 hex) │ intended send time, ns (16 hex) │ filler: 'a'..'z', again
//
// The time is the one at which the message should have left by the schedule, not the one at which
// it did: a generator or a server that falls behind shows up in the latency, rather than hiding it
// (coordinated omission).

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"

namespace holdfast::load {

inline constexpr std::uint32_t kMessageBytesMin = 32;
inline constexpr std::uint32_t kMessageBytesMax = 16 * 1024 * 1024;

struct Message {
  std::uint32_t sender;    // echo: the connection; fanout: the run
  std::uint32_t sequence;  // from 0, per sender
  Instant intended;        // on this machine's monotonic clock

  bool operator==(const Message&) const = default;
};

// Fills all of `out`, which is at least kMessageBytesMin long.
void write_message(MutableBytes out, const Message& message);

// The message in these bytes; nothing where they are not one, or its filler is not as written.
std::optional<Message> read_message(Bytes bytes);

}  // namespace holdfast::load
