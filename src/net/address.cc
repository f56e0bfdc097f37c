#include "net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

namespace holdfast::net {
namespace {

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port > 65535) {
    return failure(fmt::format(
        "'{}' has no port between 0 and 65535; write 127.0.0.1:8080 or [::1]:8080", whole));
  }
  return static_cast<std::uint16_t>(port);
}

}  // namespace

Address Address::from(const sockaddr* address, socklen_t length) {
  Address result;
  if (length > sizeof result.storage_) length = sizeof result.storage_;
  std::memcpy(result.storage_, address, length);
  result.length_ = length;
  return result;
}

Address Address::ipv4(std::uint32_t host_order, std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(host_order);
  in.sin_port = htons(port);
  return from(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

Result<Address> Address::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return failure(fmt::format("'{}' has no port; write 127.0.0.1:8080 or [::1]:8080", text));
  }
  std::string host(text.substr(0, colon));
  const auto port = parse_port(text.substr(colon + 1), text);
  if (!port) return tl::unexpected(port.error());
  if (host.empty() || host == "*") return ipv4(INADDR_ANY, *port);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return failure(
        fmt::format("'{}': an IPv6 address stands in brackets: [{}]:{}", text, host, *port));
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int status = getaddrinfo(host.c_str(), nullptr, &hints, &found); status != 0) {
    return failure(
        fmt::format("'{}': no address of '{}' is known ({})", text, host, gai_strerror(status)));
  }
  Address result = from(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  result.set_port(*port);
  return result;
}

int Address::family() const { return length_ == 0 ? AF_UNSPEC : get()->sa_family; }

std::optional<IpAddress> Address::ip() const {
  if (family() == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in*>(storage_)->sin_addr;
    return IpAddress::from_v4(std::as_bytes(std::span<const in_addr, 1>(&in, 1)));
  }
  if (family() == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6*>(storage_)->sin6_addr;
    return IpAddress::from_v6(std::as_bytes(std::span<const in6_addr, 1>(&in, 1)));
  }
  return std::nullopt;
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(storage_)->sin_port);
  if (family() == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(storage_)->sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) {
  if (family() == AF_INET) reinterpret_cast<sockaddr_in*>(storage_)->sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6*>(storage_)->sin6_port = htons(port);
}

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(storage_)->sin_addr, text,
              sizeof text);
  } else if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(storage_)->sin6_addr, text,
              sizeof text);
  }
  return text;
}

std::string Address::to_string() const {
  return family() == AF_INET6 ? fmt::format("[{}]:{}", host(), port())
                              : fmt::format("{}:{}", host(), port());
}

bool Address::is_loopback() const {
  if (family() == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(storage_)->sin_addr.s_addr) >> 24 == 127;
  }
  if (family() != AF_INET6) return false;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(storage_)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) ||
         (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

}  // namespace holdfast::net
