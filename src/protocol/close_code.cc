#include "protocol/close_code.h"

namespace holdfast::protocol {

std::string_view name(CloseCode code) {
  switch (code) {
    case CloseCode::kNormal:
      return "normal";
    case CloseCode::kGoingAway:
      return "going_away";
    case CloseCode::kProtocolError:
      return "protocol_error";
    case CloseCode::kUnsupportedData:
      return "unsupported_data";
    case CloseCode::kNoStatus:
      return "no_status";
    case CloseCode::kAbnormal:
      return "abnormal";
    case CloseCode::kInvalidPayload:
      return "invalid_payload";
    case CloseCode::kPolicyViolation:
      return "policy_violation";
    case CloseCode::kMessageTooBig:
      return "message_too_big";
    case CloseCode::kMandatoryExtension:
      return "mandatory_extension";
    case CloseCode::kInternalError:
      return "internal_error";
    case CloseCode::kServiceRestart:
      return "service_restart";
    case CloseCode::kTryAgainLater:
      return "try_again_later";
    case CloseCode::kBadGateway:
      return "bad_gateway";
    case CloseCode::kTlsFailed:
      return "tls_failed";
  }
  return "other";  // a number from the wire that has no name: libraries' and applications' own
}

}  // namespace holdfast::protocol
