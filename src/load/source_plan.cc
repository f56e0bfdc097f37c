#include "load/source_plan.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/units.h"

namespace holdfast::load {
namespace {

constexpr std::uint32_t kLoopbackFirst = 127u << 24 | 16u << 16 | 1;
constexpr std::uint64_t kLoopbackCount = (1u << 20) - 2;  // 127.16.0.0/12 without its ends

// Where nearly all ports of an address are taken, the kernel searches long and may fail although
// some are free.
constexpr double kUsableShare = 0.9;

std::uint32_t host_order(const net::Address& address) {
  return ntohl(reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr.s_addr);
}

}  // namespace

Result<SourcePlan::Block> SourcePlan::parse_block(std::string_view text) {
  const std::size_t slash = text.find('/');
  unsigned bits = 32;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits < 8 || bits > 32) {
      return failure(fmt::format(
          "'{}': the length behind the slash must be 8 to 32, such as 10.0.0.16/28", text));
    }
  }
  const std::string_view host = text.substr(0, slash);
  const bool numeric =
      !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
  const auto address =
      numeric ? net::Address::parse(fmt::format("{}:0", host)) : failure("not numeric");
  if (!address || address->family() != AF_INET) {
    return failure(
        fmt::format("'{}' is not an IPv4 address or CIDR; write 10.0.0.16/28 or 10.0.0.5", text));
  }
  const std::uint64_t count = std::uint64_t{1} << (32 - bits);
  const auto first = static_cast<std::uint32_t>(host_order(*address) & ~(count - 1));
  // The first and last address of a net of its own are the net and its broadcast; not so in the
  // smallest ones.
  if (bits >= 31) return Block{first, count};
  return Block{first + 1, count - 2};
}

Result<SourcePlan> SourcePlan::make(std::string_view sources, const net::Address& target,
                                    PortRange ports, std::uint64_t connections,
                                    const std::vector<net::Address>& interface_addresses) {
  SourcePlan plan;
  plan.ports_ = ports;
  const auto usable = static_cast<std::uint64_t>(ports.count() * kUsableShare);
  if (usable == 0) {
    return failure(
        "net.ipv4.ip_local_port_range holds no ports; set it with: sysctl -w "
        "net.ipv4.ip_local_port_range='1024 65535'");
  }
  if (sources == "auto") {
    if (target.family() == AF_INET && target.is_loopback()) {
      plan.per_address_ = std::min<std::uint64_t>(kConnectionsPerAddress, usable);
      const std::uint64_t needed = (connections + plan.per_address_ - 1) / plan.per_address_;
      plan.blocks_.push_back({kLoopbackFirst, std::min(needed, kLoopbackCount)});
      return plan;
    }
    plan.single_ = interface_addresses;
    if (plan.single_.empty()) {
      return failure(
          fmt::format("no address of this machine leads to {}; check the route, or name --sources",
                      target.host()));
    }
  } else if (target.family() != AF_INET) {
    return failure(fmt::format("'{}' are IPv4 addresses, but {} is IPv6; leave --sources at auto",
                               sources, target.host()));
  } else {
    while (!sources.empty()) {
      const std::size_t comma = std::min(sources.find(','), sources.size());
      const auto block = parse_block(sources.substr(0, comma));
      if (!block) return tl::unexpected(block.error());
      plan.blocks_.push_back(*block);
      sources.remove_prefix(std::min(comma + 1, sources.size()));
    }
  }
  // As evenly as it goes: a few more on an address is nothing, all ports of one taken is a long
  // search.
  const std::uint64_t addresses = plan.address_count();
  plan.per_address_ =
      std::clamp<std::uint64_t>((connections + addresses - 1) / addresses, 1, usable);
  return plan;
}

std::uint64_t SourcePlan::address_count() const {
  std::uint64_t count = single_.size();
  for (const Block& block : blocks_) count += block.count;
  return count;
}

std::uint64_t SourcePlan::capacity() const {
  return address_count() * static_cast<std::uint64_t>(ports_.count() * kUsableShare);
}

Result<void> SourcePlan::check_room(std::uint64_t connections) const {
  if (connections <= capacity()) return {};
  return failure(fmt::format(
      "--connections {}: {} source address{} with {} ports each (net.ipv4.ip_local_port_range is "
      "{} {}, a tenth kept free) reach "
      "{}. Widen the range with: sysctl -w net.ipv4.ip_local_port_range='1024 65535'; or add "
      "addresses and name them with "
      "--sources CIDR; or go on with fewer by --allow-fewer",
      format_count(connections), format_count(address_count()), address_count() == 1 ? "" : "es",
      format_count(ports_.count()), ports_.first, ports_.last, format_count(capacity())));
}

net::Address SourcePlan::address_at(std::uint64_t index) const {
  for (const Block& block : blocks_) {
    if (index < block.count)
      return net::Address::ipv4(static_cast<std::uint32_t>(block.first + index), 0);
    index -= block.count;
  }
  CHECK(index < single_.size());
  return single_[index];
}

net::Address SourcePlan::address_of(std::uint64_t ordinal) const {
  return address_at(ordinal / per_address_ % address_count());
}

std::vector<net::Address> SourcePlan::ends() const {
  return {address_at(0), address_at(address_count() - 1)};
}

}  // namespace holdfast::load
