#pragma once

// Where a socket is bound or connected to.

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "base/result.h"

namespace holdfast::net {

// An IPv4 or IPv6 address with a port. 32 bytes, copied freely.
class Address {
 public:
  Address() = default;
  static Address from(const sockaddr* address, socklen_t length);
  // "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" and "*:8080" (all IPv4 addresses). A
  // name is resolved, blocking. The error names the text and says what would be right.
  static Result<Address> parse(std::string_view text);
  static Address ipv4(std::uint32_t host_order, std::uint16_t port);

  std::string to_string() const;  // "127.0.0.1:8080", "[::1]:8080"
  std::string host() const;       // "127.0.0.1", "::1"
  std::optional<IpAddress> ip()
      const;  // nothing for a family that has none (a local socket's peer)
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  int family() const;        // AF_INET or AF_INET6; AF_UNIX for what a local socket says of itself
  bool is_loopback() const;  // 127.0.0.0/8, ::1, and ::ffff:127.0.0.0/104
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(storage_); }
  socklen_t length() const { return length_; }

 private:
  alignas(8) unsigned char storage_[28] = {};
  socklen_t length_ = 0;
};
static_assert(sizeof(Address) == 32);

}  // namespace holdfast::net
