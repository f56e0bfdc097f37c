#include "net/tcp_facts.h"

// Not netinet/tcp.h: glibc's tcp_info knows nothing of bytes, and the two cannot be had together.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>

namespace holdfast::net {

std::optional<TcpFacts> tcp_facts(int descriptor) {
  tcp_info info{};
  socklen_t length = sizeof info;
  constexpr std::size_t kNeeded =
      offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || length < kNeeded)
    return std::nullopt;
  return TcpFacts{.received_bytes = info.tcpi_bytes_received,
                  .sent_bytes = info.tcpi_bytes_acked,
                  .silent_for = std::chrono::milliseconds(info.tcpi_last_data_recv),
                  .round_trip = std::chrono::microseconds(info.tcpi_rtt)};
}

}  // namespace holdfast::net
