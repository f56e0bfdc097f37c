#pragma once

// Who may do more than look: the operator at this machine, or through a tunnel to it.

#include <optional>
#include <string>
#include <string_view>

#include "holdfast/peer.h"
#include "holdfast/request.h"

namespace holdfast::admin {

// Nothing, or why the request is refused. Its connection must come from loopback; and where a web
// page sent it, that page must be this listener's own, found under an IP address or "localhost", so
// that neither a page of another site nor one whose name was made to point here can speak for the
// operator.
std::optional<Reply> refuse_stranger(const Request& request);

// "3-1042-17": worker, descriptor, serial.
std::string id_text(PeerId id);
std::optional<PeerId> read_id(std::string_view text);

// Whether an endpoint may send this code in a Close (RFC 6455 7.4).
bool may_be_sent(unsigned code);

}  // namespace holdfast::admin
