#include "base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace holdfast {
namespace {

constexpr std::size_t kMappedAt = 12;  // the IPv4 address's place in its mapped form

}  // namespace

IpAddress IpAddress::from_v4(std::span<const std::byte, 4> bytes) {
  IpAddress address;
  address.bytes_[10] = address.bytes_[11] = std::byte{0xFF};
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin() + kMappedAt);
  return address;
}

IpAddress IpAddress::from_v6(std::span<const std::byte, 16> bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated);
  terminated[text.size()] = '\0';
  if (std::strlen(terminated) != text.size()) return std::nullopt;
  std::array<std::byte, 16> bytes;
  if (inet_pton(AF_INET, terminated, bytes.data()) == 1)
    return from_v4(std::span(bytes).first<4>());
  if (inet_pton(AF_INET6, terminated, bytes.data()) == 1) return from_v6(bytes);
  return std::nullopt;
}

bool IpAddress::is_v4() const {
  const auto zero = [](std::byte byte) { return byte == std::byte{0}; };
  return std::all_of(bytes_.begin(), bytes_.begin() + 10, zero) && bytes_[10] == std::byte{0xFF} &&
         bytes_[11] == std::byte{0xFF};
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[kMappedAt] == std::byte{127};
  IpAddress one;
  one.bytes_[15] = std::byte{1};
  return *this == one;
}

IpAddress IpAddress::first_of_64() const {
  IpAddress first = *this;
  std::fill(first.bytes_.begin() + 8, first.bytes_.end(), std::byte{0});
  return first;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + kMappedAt, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
  }
  return text;
}

std::size_t IpAddress::hash() const {
  std::uint64_t high;
  std::uint64_t low;
  std::memcpy(&high, bytes_.data(), 8);
  std::memcpy(&low, bytes_.data() + 8, 8);
  // The finisher of MurmurHash3 over both halves: neighbours in one network fall far apart.
  std::uint64_t hash = (high * 0x9E3779B97F4A7C15u) ^ low;
  hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDu;
  hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53u;
  return hash ^ (hash >> 33);
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto first = IpAddress::parse(text.substr(0, slash));
  if (!first) return std::nullopt;
  // Dotted text alone counts its bits from the IPv4 address's first.
  const bool dotted = text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned bits = dotted ? 32 : 128;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    unsigned given = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), given);
    if (error != std::errc() || end != digits.data() + digits.size() || given > bits)
      return std::nullopt;
    bits = given;
  }
  IpNetwork network;
  network.first_ = *first;
  network.prefix_bits_ = dotted ? bits + 96 : bits;
  for (unsigned bit = network.prefix_bits_; bit < 128; ++bit) {
    const auto byte = std::to_integer<unsigned>(first->bytes()[bit / 8]);
    if ((byte >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  }
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  const unsigned whole = prefix_bits_ / 8;
  const auto ours = first_.bytes();
  const auto theirs = address.bytes();
  if (!std::equal(ours.begin(), ours.begin() + whole, theirs.begin())) return false;
  const unsigned left = prefix_bits_ % 8;
  if (left == 0) return true;
  const auto differ = std::to_integer<unsigned>(ours[whole] ^ theirs[whole]);
  return differ >> (8 - left) == 0;
}

}  // namespace holdfast
