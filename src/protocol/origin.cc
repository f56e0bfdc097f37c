#include "protocol/origin.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace holdfast::protocol {
namespace {

constexpr std::string_view kNull = "null";  // RFC 6454 7.1: an origin that must not be told
constexpr std::string_view kWildcard = "*.";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

struct Parts {
  std::string scheme;
  std::string host;
  std::string port;
};

bool is_host_character(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         std::string_view("-._:[]*").find(c) != std::string_view::npos;
}

// RFC 6454 6.2: scheme "://" host [ ":" port ], and nothing behind it.
std::optional<Parts> split(std::string_view origin) {
  const std::size_t colon = origin.find("://");
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  Parts parts{lower_case(origin.substr(0, colon)), {}, {}};
  std::string_view host = origin.substr(colon + 3);
  const std::size_t bracket = host.rfind(']');  // an IPv6 address has colons of its own
  const std::size_t port = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (port != std::string_view::npos) {
    parts.port = host.substr(port + 1);
    host = host.substr(0, port);
    if (parts.port.empty() || parts.port.find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
  }
  if (host.empty() || !std::all_of(host.begin(), host.end(), is_host_character))
    return std::nullopt;
  parts.host = lower_case(host);
  const bool is_default = (parts.scheme == "http" && parts.port == "80") ||
                          (parts.scheme == "https" && parts.port == "443");
  if (is_default) parts.port.clear();
  return parts;
}

}  // namespace

Result<OriginPattern> OriginPattern::parse(std::string_view text) {
  OriginPattern pattern;
  if (text == kNull) {
    pattern.null_ = true;
    return pattern;
  }
  const auto parts = split(text);
  if (!parts) {
    return failure(
        fmt::format("'{}' is no origin; write scheme, host and perhaps a port, without a path: "
                    "https://example.com, "
                    "https://*.example.com, http://localhost:3000, or null",
                    text));
  }
  std::string_view host = parts->host;
  pattern.wildcard_ = host.starts_with(kWildcard);
  if (pattern.wildcard_) host.remove_prefix(1);
  if (host.find('*') != std::string_view::npos || (pattern.wildcard_ && host.size() < 2)) {
    return failure(fmt::format(
        "'{}': the one wildcard is *. in front of a host, as in https://*.example.com", text));
  }
  pattern.scheme_ = parts->scheme;
  pattern.host_ = host;
  pattern.port_ = parts->port;
  return pattern;
}

bool OriginPattern::fits(std::string_view origin) const {
  if (null_) return origin == kNull;
  const auto parts = split(origin);
  if (!parts || parts->scheme != scheme_ || parts->port != port_) return false;
  if (!wildcard_) return parts->host == host_;
  return parts->host.size() > host_.size() && parts->host.ends_with(host_);
}

}  // namespace holdfast::protocol
