#pragma once

// Where a client connects to: a URL, taken apart.

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/address.h"

namespace holdfast::client {

struct Target {
  std::string url;
  std::string authority;   // for the Host header: "127.0.0.7:8080"
  std::string host;        // without port and brackets: whom a certificate must name
  bool is_secure = false;  // wss://
  std::string path;        // with its query, beginning with '/'
  net::Address address;

  // "ws://HOST[:PORT][/PATH][?QUERY]", or "wss://", an IPv6 host in brackets; port 80, or 443,
  // where none is given. A name is resolved, blocking. The error names the URL and says what would
  // be right.
  static Result<Target> parse(std::string_view url);
};

}  // namespace holdfast::client
