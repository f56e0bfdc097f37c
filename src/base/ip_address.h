#pragma once

// Who a peer is: an address without a port. IPv4 lives in its mapped form (RFC 4291 2.5.5.2), so
// that one client is one address, whichever kind of listener it came to.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

// 16 bytes, copied freely, compared and hashed by value. Default: "::", nobody's address.
class IpAddress {
 public:
  IpAddress() = default;
  // In the order of the wire.
  static IpAddress from_v4(std::span<const std::byte, 4> bytes);
  static IpAddress from_v6(std::span<const std::byte, 16> bytes);
  // "127.0.0.1", "::1", "::ffff:127.0.0.1"; no port, brackets, zone or leading zeros.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;             // IPv4, mapped or not: there is no telling them apart
  bool is_loopback() const;       // 127.0.0.0/8 and ::1
  IpAddress first_of_64() const;  // the last 64 bits are zero; for IPv6
  std::string to_string() const;  // "127.0.0.1", "::1"
  std::span<const std::byte, 16> bytes() const { return bytes_; }

  bool operator==(const IpAddress&) const = default;
  auto operator<=>(const IpAddress&) const = default;
  // For boost's maps.
  friend std::size_t hash_value(const IpAddress& address) { return address.hash(); }
  std::size_t hash() const;

 private:
  std::array<std::byte, 16> bytes_{};
};
static_assert(sizeof(IpAddress) == 16);

// A block of addresses (RFC 4632): those that share the first bits.
class IpNetwork {
 public:
  // "10.0.0.0/8", "fd00::/8", or an address, which is a network of itself. Bits behind the prefix
  // are refused, for they hide a slip ("10.0.0.1/8").
  static std::optional<IpNetwork> parse(std::string_view text);
  bool contains(const IpAddress& address) const;

 private:
  IpAddress first_;
  unsigned prefix_bits_ = 0;  // of the mapped form: 96 more for IPv4
};

}  // namespace holdfast
