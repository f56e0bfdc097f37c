#pragma once

// Whose pages may open a WebSocket: the Origin header (RFC 6454 7, RFC 6455 10.2).

#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::protocol {

// One entry of an allow-list: one origin, or all sub-domains of a host under one scheme and port.
// Any thread.
class OriginPattern {
 public:
  // "https://example.com", "http://127.0.0.1:3000", "https://*.example.com" (a.example.com and
  // b.a.example.com, not example.com), or "null" (pages without an origin, such as files). The port
  // of the scheme may be left out. The error names the text and what would be right.
  static Result<OriginPattern> parse(std::string_view text);

  // Whether an Origin header's value is meant. Scheme and host are compared without case.
  bool fits(std::string_view origin) const;

 private:
  std::string scheme_;
  std::string host_;  // lower case; behind a wildcard with its dot: ".example.com"
  std::string port_;  // empty: the scheme's own
  bool wildcard_ = false;
  bool null_ = false;
};

}  // namespace holdfast::protocol
