#include "protocol/forwarded.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::protocol {
namespace {

// Splits at `separator` outside of quotes (RFC 9110 5.6.4). A quote that is not closed takes the
// rest along, which then reads as no address.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (quoted && text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      quoted = !quoted;
    } else if (text[at] == separator && !quoted) {
      parts.push_back(trim(text.substr(begin, at - begin)));
      begin = at + 1;
    }
  }
  parts.push_back(trim(text.substr(begin)));
  return parts;
}

std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  std::string plain;
  for (std::size_t at = 1; at + 1 < text.size(); ++at) {
    if (text[at] == '\\') ++at;
    plain.push_back(text[at]);
  }
  return plain;
}

// RFC 7239 6: "203.0.113.7", "203.0.113.7:50000", "[2001:db8::17]", "[2001:db8::17]:50000"; and
// "2001:db8::17", as X-Forwarded-For has it.
std::optional<IpAddress> parse_node(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    if (end + 1 < text.size() && text[end + 1] != ':') return std::nullopt;
    return IpAddress::parse(text.substr(1, end - 1));
  }
  const std::size_t colon = text.find(':');
  const bool has_port =
      colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  return IpAddress::parse(has_port ? text.substr(0, colon) : text);
}

// RFC 7239 4: pairs with ';' between them; "for" is whom the proxy saw.
std::optional<IpAddress> parse_element(std::string_view element) {
  for (const std::string_view pair : split(element, ';')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !equals_ignoring_case(pair.substr(0, equals), "for"))
      continue;
    return parse_node(unquoted(pair.substr(equals + 1)));
  }
  return std::nullopt;
}

}  // namespace

std::optional<IpAddress> forwarded_client(std::span<const HttpHeader> headers, ForwardedField field,
                                          std::span<const IpNetwork> trusted,
                                          std::optional<IpAddress> nearest) {
  const bool is_standard = field == ForwardedField::kForwarded;
  const std::string_view name = is_standard ? "forwarded" : "x-forwarded-for";
  std::optional<IpAddress> farthest = nearest;
  for (std::size_t index = headers.size(); index > 0; --index) {
    const HttpHeader& header = headers[index - 1];
    if (!equals_ignoring_case(header.name, name)) continue;
    const auto hops = split(header.value, ',');
    for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
      if (hop->empty()) continue;  // RFC 9110 5.6.1
      const auto address = is_standard ? parse_element(*hop) : parse_node(*hop);
      if (!address) return farthest;
      farthest = address;
      const auto is_in = [&](const IpNetwork& network) { return network.contains(*address); };
      if (std::none_of(trusted.begin(), trusted.end(), is_in)) return farthest;
    }
  }
  return farthest;
}

}  // namespace holdfast::protocol
