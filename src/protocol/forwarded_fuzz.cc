// Any text as the fields that proxies write: whatever stands there, the peer is believed and nobody
// else.

#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/forwarded.h"

using namespace holdfast;
using namespace holdfast::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto field = static_cast<ForwardedField>(data[0] % 2);
  const std::string_view name =
      field == ForwardedField::kForwarded ? "Forwarded" : "X-Forwarded-For";
  const std::string value(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<IpNetwork> trusted = {*IpNetwork::parse("10.0.0.0/8")};
  const auto peer = IpAddress::parse("10.0.0.1");
  const std::vector<HttpHeader> claimed = {{name, value}};
  CHECK(forwarded_client(claimed, field, trusted, peer).has_value());
  // The proxy's own word comes last; nothing in front of it can change that.
  const std::vector<HttpHeader> written = {
      {name, value},
      {name, field == ForwardedField::kForwarded ? "for=203.0.113.7" : "203.0.113.7"}};
  CHECK(forwarded_client(written, field, trusted, peer) == IpAddress::parse("203.0.113.7"));
  return 0;
}
