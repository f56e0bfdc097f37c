#include "admin/operators.h"

#include <fmt/format.h>

#include <charconv>

#include "base/ip_address.h"

namespace holdfast::admin {
namespace {

// "localhost:9090" -> "localhost", "[::1]:9090" -> "::1".
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_own_page(std::string_view origin, std::string_view host) {
  const std::size_t scheme_end = origin.find("://");
  if (scheme_end == std::string_view::npos || origin.substr(scheme_end + 3) != host) return false;
  const std::string_view name = host_name(host);
  return name == "localhost" || IpAddress::parse(name).has_value();
}

}  // namespace

std::optional<Reply> refuse_stranger(const Request& request) {
  if (!request.from_loopback()) {
    return Reply{403,
                 "this is done from the machine itself only: log in there, or through a tunnel "
                 "(ssh -L 9090:127.0.0.1:9090)\n"};
  }
  const auto origin = request.header("Origin");
  if (origin && !is_own_page(*origin, request.header("Host").value_or(""))) {
    return Reply{403,
                 "pages of other sites may not do this; open the dashboard under 127.0.0.1 or "
                 "localhost\n"};
  }
  return std::nullopt;
}

std::string id_text(PeerId id) {
  return fmt::format("{}-{}-{}", id.worker, id.descriptor, id.serial);
}

std::optional<PeerId> read_id(std::string_view text) {
  PeerId id;
  for (std::uint32_t* part : {&id.worker, &id.descriptor, &id.serial}) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *part);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (part == &id.serial) break;
    if (!text.starts_with('-')) return std::nullopt;
    text.remove_prefix(1);
  }
  return text.empty() && id ? std::optional(id) : std::nullopt;
}

bool may_be_sent(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace holdfast::admin
