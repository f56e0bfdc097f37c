#include "client/target.h"

#include <fmt/format.h>

namespace holdfast::client {
namespace {

constexpr std::string_view kExample = "ws://127.0.0.1:8080/echo";

// Spaces and control characters would end the request line early, or smuggle a header into it.
bool is_visible(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

bool has_port(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  return authority.find(':', bracket == std::string_view::npos ? 0 : bracket) !=
         std::string_view::npos;
}

std::string_view host_of(std::string_view authority) {
  if (authority.front() == '[') return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

}  // namespace

Result<Target> Target::parse(std::string_view url) {
  if (!is_visible(url)) {
    return failure(fmt::format(
        "URL '{}' holds a space or a character that is not plain ASCII; percent-encode it", url));
  }
  const bool is_secure = url.starts_with("wss://");
  if (!is_secure && !url.starts_with("ws://")) {
    return failure(fmt::format("URL '{}' is not one of a WebSocket; write {}", url, kExample));
  }
  const std::string_view rest = url.substr(url.find("//") + 2);
  if (rest.find('#') != std::string_view::npos) {
    return failure(
        fmt::format("URL '{}' has a fragment (#), which a WebSocket URL may not have", url));
  }
  const std::size_t end = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, end);
  if (authority.empty() || authority.front() == ':') {
    return failure(fmt::format("URL '{}' names no host; write {}", url, kExample));
  }
  if (authority.find('@') != std::string_view::npos) {
    return failure(
        fmt::format("URL '{}' holds user information, which is not sent; leave it out", url));
  }

  Target target;
  target.url = url;
  target.authority = authority;
  if (end != std::string_view::npos) target.path = rest.substr(end);
  if (!target.path.starts_with('/')) target.path.insert(0, "/");
  target.is_secure = is_secure;
  target.host = host_of(authority);
  const char* port = is_secure ? ":443" : ":80";
  auto address =
      net::Address::parse(has_port(authority) ? target.authority : target.authority + port);
  if (!address)
    return failure(fmt::format("URL '{}': {}", url, address.error().message), address.error().code);
  if (address->port() == 0) {
    return failure(
        fmt::format("URL '{}': port 0 cannot be connected to; write the server's port", url));
  }
  target.address = *address;
  return target;
}

}  // namespace holdfast::client
