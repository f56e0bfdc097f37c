#pragma once

// TLS of one worker's connections, by descriptor: 96 bytes for each, and what OpenSSL takes while
// a handshake is under way. What it learned of the server's tickets is shared by all of them.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "load/report.h"
#include "net/loop.h"
#include "protocol/tls_codec.h"

namespace holdfast::load {

// Used by one thread.
class TlsCrowd {
 public:
  // Sessions that are kept; tickets of more would only be older. Some 8 KiB each.
  static constexpr std::size_t kSessionsMax = 64;

  explicit TlsCrowd(std::shared_ptr<const protocol::TlsClientContext> context)
      : context_(std::move(context)) {}

  // A handshake; `resume`: with a session of one before, where there is any.
  void begin(net::Descriptor descriptor, bool resume);
  // One that is not begun is of no connection.
  protocol::TlsCodec& operator[](net::Descriptor descriptor);

  protocol::TlsEngine engine;
  std::vector<std::byte> scratch;  // where a record lies that came in pieces

 private:
  std::shared_ptr<const protocol::TlsClientContext> context_;
  protocol::TlsSessions sessions_{kSessionsMax};
  std::deque<protocol::TlsCodec> codecs_;  // never moved
};

// Counts a handshake that failed.
void count_failure(TlsFacts& facts, const protocol::TlsHandshake& handshake);

}  // namespace holdfast::load
