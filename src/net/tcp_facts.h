#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace holdfast::net {

// What the kernel knows of one TCP connection (tcp(7), TCP_INFO).
struct TcpFacts {
  std::uint64_t received_bytes;
  std::uint64_t sent_bytes;  // and acknowledged
  Duration silent_for;       // since data last came
  Duration round_trip;       // smoothed
};

// One system call. Nothing where the descriptor is no TCP socket, or the kernel older than 4.2.
std::optional<TcpFacts> tcp_facts(int descriptor);

}  // namespace holdfast::net
