#pragma once

// What the generator remembers of a connection: 32 bytes, at the place of its descriptor. A silent
// one has nothing else.

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "load/sequence_window.h"
#include "net/loop.h"

namespace holdfast::load {

struct ConnectionRecord {
  enum class State : std::uint8_t {
    kNone,  // no connection of ours has this descriptor
    kConnecting,
    kSecuring,     // the TLS handshake is under way
    kHandshaking,  // the request was sent, the answer is awaited
    kJoining,      // pusher: connected, and not yet on its channel
    kOpen,
    kClosing,    // we said goodbye; what the peer still says does not matter
    kPublisher,  // not one of the crowd: it carries POSTs
  };
  State state = State::kNone;
  bool has_session = false;      // a frame or message is incomplete
  std::uint16_t pings = 0;       // during the hold; stays at its largest value
  std::uint32_t ordinal = 0;     // within the worker
  std::uint32_t attempt = 0;     // of the worker; its WebSocket key follows from it
  std::uint32_t started_us = 0;  // since the worker began, modulo 71 minutes
  std::uint32_t sent = 0;        // echo: the next sequence
  SequenceWindow arrived;        // 12 bytes
};
static_assert(sizeof(ConnectionRecord) == 32,
              "2,000,000 clients are to fit beside the server that they load");

// Grows to the largest descriptor that was used.
class ConnectionRecords {
 public:
  ConnectionRecord& operator[](net::Descriptor descriptor) {
    CHECK(descriptor >= 0);
    const auto index = static_cast<std::size_t>(descriptor);
    if (index >= records_.size()) records_.resize(index + index / 4 + 64);
    return records_[index];
  }
  // One past the largest descriptor that may be in use.
  net::Descriptor end() const { return static_cast<net::Descriptor>(records_.size()); }

 private:
  std::vector<ConnectionRecord> records_;
};

}  // namespace holdfast::load
