#include "protocol/subprotocol.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kField = "sec-websocket-protocol";

// Calls visit(name) for each until one returns true; whether one did.
template <class Visit>
bool any_offered(std::span<const HttpHeader> headers, Visit visit) {
  for (const auto& [name, value] : headers) {
    if (!equals_ignoring_case(name, kField)) continue;
    for (const std::string_view token : Tokens(value)) {
      if (visit(token)) return true;
    }
  }
  return false;
}

}  // namespace

bool is_subprotocol_list(std::string_view value) {
  bool any = false;
  for (const std::string_view token : Tokens(value)) {
    if (!is_token(token)) return false;
    any = true;
  }
  return any;
}

std::vector<std::string_view> offered_subprotocols(std::span<const HttpHeader> headers) {
  std::vector<std::string_view> names;
  any_offered(headers, [&](std::string_view name) {
    names.push_back(name);
    return false;
  });
  return names;
}

bool offers_subprotocol(std::span<const HttpHeader> headers, std::string_view name) {
  return any_offered(headers, [&](std::string_view offered) { return offered == name; });
}

}  // namespace holdfast::protocol
