#pragma once

// Which address each connection comes from.
//
// A connection is known by four numbers: both addresses and both ports. Towards one server address
// and port, one source address therefore has only its ports; more connections need more source
// addresses. The kernel finds a free port quickly while most of them are free, so the connections
// are spread, a few thousand to each address.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace holdfast::load {

// Ports that the kernel hands out (net.ipv4.ip_local_port_range).
struct PortRange {
  std::uint32_t first = 32768;
  std::uint32_t last = 60999;
  std::uint32_t count() const { return last < first ? 0 : last - first + 1; }
};

class SourcePlan {
 public:
  // On loopback, for one IPv4 server: addresses from 127.16.0.1 upwards, at most
  // kConnectionsPerAddress to each.
  static constexpr std::uint32_t kConnectionsPerAddress = 4000;

  // `sources`: "auto", or addresses and CIDRs separated by commas. `interface_addresses`: those of
  // the interface that leads to `target`, used for auto off loopback. The error says what is wrong
  // with the text, or with what it means here.
  static Result<SourcePlan> make(std::string_view sources, const net::Address& target,
                                 PortRange ports, std::uint64_t connections,
                                 const std::vector<net::Address>& interface_addresses);

  std::uint64_t address_count() const;
  // Connections that this plan has room for.
  std::uint64_t capacity() const;
  // Nothing when `connections` fit. The error names the numbers and what can be done.
  Result<void> check_room(std::uint64_t connections) const;

  // Where connection `ordinal` of the run comes from: the same each time; with port 0.
  net::Address address_of(std::uint64_t ordinal) const;
  // The first and the last address, to try whether they can be bound to.
  std::vector<net::Address> ends() const;

 private:
  // IPv4 addresses first, first + 1, … of a block.
  struct Block {
    std::uint32_t first;
    std::uint64_t count;
  };
  static Result<Block> parse_block(std::string_view text);

  net::Address address_at(std::uint64_t index) const;

  PortRange ports_;
  std::uint64_t per_address_ = kConnectionsPerAddress;
  std::vector<Block> blocks_;
  std::vector<net::Address> single_;  // those of an interface, or IPv6
};

}  // namespace holdfast::load
