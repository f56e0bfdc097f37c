#pragma once

// The other end of a connection, where that lies on this machine too: a peer that drops all it
// receives cannot be told that it was given up, but the kernel can be asked.

#include <optional>

#include "net/address.h"

namespace holdfast::load {

class ServerSide {
 public:
  // Opens the kernel's socket diagnostics (NETLINK_SOCK_DIAG); where that is not to be had, nothing
  // is ever known.
  ServerSide();
  ~ServerSide();
  ServerSide(const ServerSide&) = delete;
  ServerSide& operator=(const ServerSide&) = delete;

  // Whether the socket from `server` to `client` is established; nothing where the kernel does not
  // say. Costs about 5 µs.
  std::optional<bool> is_established(const net::Address& server, const net::Address& client) const;

 private:
  int descriptor_;
};

}  // namespace holdfast::load
