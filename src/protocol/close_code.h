#pragma once

// Why a WebSocket ends (RFC 6455 7.4).

#include <cstdint>
#include <string_view>

namespace holdfast::protocol {

// RFC 6455 7.4.1, and 1012..1014 of IANA's "WebSocket Close Code Number" registry.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  // never on the wire: the Close frame carried no code
  kAbnormal = 1006,  // never on the wire: there was no Close frame
  kInvalidPayload = 1007,
  kPolicyViolation = 1008,
  kMessageTooBig = 1009,
  kMandatoryExtension = 1010,
  kInternalError = 1011,
  kServiceRestart = 1012,
  kTryAgainLater = 1013,
  kBadGateway = 1014,
  kTlsFailed = 1015,  // never on the wire: the TLS handshake failed
};

// Whether `code` may stand in a Close frame: the registered ones that are not reserved, the range
// of libraries (3000..3999) and the range of applications (4000..4999). RFC 6455 7.4.1, 7.4.2.
constexpr bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

// A label for logs and metrics: "normal", "going_away", … Static text.
std::string_view name(CloseCode code);

}  // namespace holdfast::protocol
