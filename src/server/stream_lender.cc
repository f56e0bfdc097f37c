#include "server/stream_lender.h"

namespace holdfast::server {

std::size_t lent_window_of(std::size_t message_bytes, std::uint8_t window_bits) {
  // Two windows that are both large enough differ in nothing that a receiver could see: a message
  // without takeover refers to none of its bytes from further back than it is long.
  const auto fits = [&](std::size_t window) {
    return kLentWindowBits[window] <= window_bits || message_bytes <= std::size_t{1} << window_bits;
  };
  const std::uint8_t enough = protocol::window_bits_of(message_bytes);
  std::size_t window = 0;
  while (kLentWindowBits[window] < enough && fits(window + 1)) ++window;
  return window;
}

std::optional<Bytes> StreamLender::deflate(Bytes message, std::size_t window) {
  auto& deflater = deflaters_[window];
  if (deflater == nullptr) {
    deflater = std::make_unique<protocol::MessageDeflater>(protocol::Takeover::kNone,
                                                           kLentWindowBits[window]);
  }
  return deflater->deflate(message);
}

TakeoverStreams::TakeoverStreams(const protocol::SessionLimits& lent,
                                 const protocol::DeflateTerms& terms,
                                 std::uint8_t server_window_bits)
    : limits(lent) {
  if (!terms.client_no_context_takeover) {
    inflater.emplace(protocol::Takeover::kKept, terms.client_window_bits());
    limits.inflater = &*inflater;
  }
  if (!terms.server_no_context_takeover)
    deflater.emplace(protocol::Takeover::kKept, server_window_bits);
}

}  // namespace holdfast::server
