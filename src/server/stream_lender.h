#pragma once

// What a worker lends to peers that agreed on permessage-deflate: a silent peer owns no stream.
//
//   receiving  one inflater for all, used between the last byte of a message and its event
//   sending    one deflater for each of three windows: a small message needs no large one,
//              and clearing a small one is cheap
//   takeover   a peer that keeps its windows owns its streams: TakeoverStreams, in its Busy

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "protocol/deflate_terms.h"
#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"
#include "protocol/session.h"

namespace holdfast::server {

// The windows of the deflaters that are lent.
inline constexpr std::array<std::uint8_t, 3> kLentWindowBits = {9, 12, 15};

// Which of them a message of so many bytes takes, when the receiver keeps a window of
// `window_bits`: the smallest that sees all of the message, but none larger than the receiver's.
std::size_t lent_window_of(std::size_t message_bytes, std::uint8_t window_bits);

// Used by one worker's thread. Allocates nothing until the first message.
class StreamLender {
 public:
  explicit StreamLender(const protocol::SessionLimits& limits) : limits_(limits) {
    limits_.inflater = &inflater_;
  }
  StreamLender(const StreamLender&) = delete;
  StreamLender& operator=(const StreamLender&) = delete;

  // For the sessions of peers that agreed without takeover.
  const protocol::SessionLimits& limits() const { return limits_; }
  // The payload of a compressed message for a peer without takeover; it lives until the next call.
  // Nothing when it would not be smaller.
  std::optional<Bytes> deflate(Bytes message, std::size_t window);

 private:
  protocol::SessionLimits limits_;
  protocol::MessageInflater inflater_;
  std::array<std::unique_ptr<protocol::MessageDeflater>, kLentWindowBits.size()> deflaters_;
};

// The streams of one peer that keeps its windows, in one direction or in both. Their memory comes
// with the first message.
struct TakeoverStreams {
  TakeoverStreams(const protocol::SessionLimits& lent, const protocol::DeflateTerms& terms,
                  std::uint8_t server_window_bits);

  protocol::SessionLimits limits;  // for the peer's sessions
  std::optional<protocol::MessageInflater> inflater;
  std::optional<protocol::MessageDeflater> deflater;
};

}  // namespace holdfast::server
