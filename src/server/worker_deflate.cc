// Compression: what was agreed on with a peer (RFC 7692), and what is sent to it.

#include <algorithm>

#include "protocol/frame.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

// Smaller messages are sent as they are (bounds by reasoning, not measured yet). Alone, they hardly
// shrink: a name or a price comes only once in them. Behind others of their kind they do, in a
// window that is kept.
constexpr std::size_t kDeflateBytesMin = 128;
constexpr std::size_t kDeflateBytesMinWithTakeover = 16;
static_assert(std::tuple_size_v<decltype(broker::Publication::deflated)> == kLentWindowBits.size());

// The same message, compressed; itself where that would not make it smaller.
SharedBytes deflate_wire(const SharedBytes& wire, StreamLender& lender, std::size_t window) {
  const auto payload = lender.deflate(protocol::payload_of_frame(wire.bytes()), window);
  if (!payload) return wire;
  const auto opcode = static_cast<protocol::Opcode>(static_cast<std::uint8_t>(wire.bytes()[0]) &
                                                    protocol::kOpcodeBits);
  const std::size_t header = protocol::frame_header_bytes(payload->size(), false);
  SharedBytes deflated = SharedBytes::allocate(header + payload->size());
  std::byte* out = deflated.mutable_bytes().data();
  protocol::write_frame_header(out, opcode, true, payload->size(), nullptr, true);
  std::copy(payload->begin(), payload->end(), out + header);
  return deflated;
}

}  // namespace

// The value of Sec-WebSocket-Extensions for the answer, written to `out`; empty where nothing was
// agreed on.
std::string_view Worker::agree_on_deflate(Connection& connection,
                                          const protocol::HttpRequest& request,
                                          std::span<char> out) {
  const auto choice = static_cast<DeflateChoice>(connection.deflate);
  connection.deflate = 0;
  if (choice == DeflateChoice::kOff) return {};
  const protocol::DeflatePolicy policy{choice == DeflateChoice::kTakeover,
                                       settings_.deflate_window_bits};
  const auto terms = protocol::accept_deflate(request.headers, policy);
  if (!terms) return {};
  connection.agree_on_deflate(terms->server_window_bits());
  counters_.deflate_agreed.add();
  if (!terms->server_no_context_takeover || !terms->client_no_context_takeover) {
    const std::uint8_t window_bits = std::min(terms->server_window_bits(), policy.window_bits);
    connection.make_busy().streams =
        std::make_unique<TakeoverStreams>(lender_.limits(), *terms, window_bits);
  }
  return {out.data(), protocol::write_deflate_terms(out.data(), *terms)};
}

const protocol::SessionLimits& Worker::session_limits(const Connection& connection) const {
  if (connection.deflate == 0) return settings_.session;
  const TakeoverStreams* streams = connection.takeover_streams();
  return streams == nullptr ? lender_.limits() : streams->limits;
}

void Worker::send_deflated(int descriptor, Connection& connection, protocol::Opcode opcode,
                           Bytes payload) {
  TakeoverStreams* streams = connection.takeover_streams();
  const bool keeps_window = streams != nullptr && streams->deflater;
  std::optional<Bytes> deflated;
  if (payload.size() >= (keeps_window ? kDeflateBytesMinWithTakeover : kDeflateBytesMin)) {
    deflated = keeps_window
                   ? streams->deflater->deflate(payload)
                   : lender_.deflate(
                         payload, lent_window_of(payload.size(),
                                                 Connection::window_bits_of(connection.deflate)));
  }
  if (!deflated) return send_message(descriptor, connection, opcode, payload, false);
  counters_.deflated_message_bytes.add(payload.size());
  counters_.deflated_payload_bytes.add(deflated->size());
  send_message(descriptor, connection, opcode, *deflated, true);
}

// What those of one agreement are sent: made by the first worker that meets one of them, for all.
const SharedBytes& Worker::wire_for(const broker::Publication& publication, std::uint8_t deflate) {
  if (deflate == Connection::kEventStream) return event_for(publication);
  const SharedBytes& plain = publication.wire;
  if (deflate == 0 || plain.size() < kDeflateBytesMin) return plain;
  const std::size_t window = lent_window_of(plain.size(), Connection::window_bits_of(deflate));
  return publication.deflated[window].get([&] { return deflate_wire(plain, lender_, window); });
}

void Worker::note_deflated(Connection& connection, const Form& form) {
  counters_.deflated_message_bytes.add(form.message_bytes);
  counters_.deflated_payload_bytes.add(form.payload_bytes);
  // The peer's window moves over these messages, and its own stream has not seen them.
  if (TakeoverStreams* streams = connection.takeover_streams();
      streams != nullptr && streams->deflater)
    streams->deflater->forget();
}

}  // namespace holdfast::server
