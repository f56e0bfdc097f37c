// Any bytes as a PROXY header: however they are split, the same must come of them, and a header
// that was taken says who it is.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/proxy_header.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

std::string outcome_of(Bytes wire, std::size_t piece_bytes, ProxyVersions accepted) {
  ProxyHeaderParser parser(accepted);
  for (std::size_t at = 0; at < wire.size(); at += piece_bytes) {
    // Memory of its own for each piece, so that reading beyond it is seen.
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    const std::vector<std::byte> memory(piece.begin(), piece.end());
    Bytes input = memory;
    switch (parser.feed(input)) {
      case ProxyHeaderParser::Progress::kMore:
        CHECK(input.empty());
        break;
      case ProxyHeaderParser::Progress::kError:
        CHECK(!parser.error_reason().empty());
        return std::string(parser.error_reason());
      case ProxyHeaderParser::Progress::kDone: {
        const std::size_t used = at + piece.size() - input.size();
        CHECK(used >= 15);
        if (!parser.source()) return "none " + std::to_string(used);
        const std::string address = parser.source()->address.to_string();
        CHECK(IpAddress::parse(address) == parser.source()->address);
        return address + " " + std::to_string(parser.source()->port) + " " + std::to_string(used);
      }
    }
  }
  return "more";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto accepted = static_cast<ProxyVersions>(1 + data[0] % 3);
  const std::size_t piece_bytes = data[0] / 3 + 1u;
  const Bytes wire = as_bytes({reinterpret_cast<const char*>(data) + 1, size - 1});
  const std::string whole = outcome_of(wire, wire.size() + 1, accepted);
  CHECK(outcome_of(wire, piece_bytes, accepted) == whole);
  CHECK(outcome_of(wire, 1, accepted) == whole);
  return 0;
}
