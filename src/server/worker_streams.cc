// Event streams: an answer to a GET that does not end (WHATWG HTML, 9.2).
//
// The peer's row is that of an open WebSocket, told apart by its `deflate`: it is subscribed, kept
// alive, counted, drained and ended like one, and costs the same 16 bytes. What it is sent has
// another form, made once for all streams of a publication; what it says is passed over.

#include <algorithm>

#include "protocol/event_stream.h"
#include "protocol/frame.h"
#include "protocol/http_response.h"
#include "server/worker.h"

namespace holdfast::server {

void Worker::begin_stream(int descriptor, Connection& connection,
                          const protocol::HttpRequest& request, const Request& view,
                          const Reply& answer) {
  if (!enter_client(descriptor, request)) return refuse_address(descriptor, connection);
  send_text(descriptor, stream_head(answer));
  if (!answer.body.empty()) send_text(descriptor, answer.body);
  connection.deflate = Connection::kEventStream;
  counters_.event_streams.add();
  opened(descriptor, connection, view);
}

void Worker::send_event(int descriptor, Connection& connection, std::string_view id,
                        std::string_view text) {
  const std::size_t size = protocol::event_bytes(id, text);
  std::byte* out = transmit_.reserve(size);
  protocol::write_event(out, id, text);
  queue(descriptor, connection, {out, size}, -1);
}

// For all streams of all workers. Empty: a binary message, which no stream can carry.
const SharedBytes& Worker::event_for(const broker::Publication& publication) {
  return publication.event.get([&]() -> SharedBytes {
    const auto opcode =
        static_cast<std::uint8_t>(publication.wire.bytes()[0]) & protocol::kOpcodeBits;
    if (static_cast<protocol::Opcode>(opcode) != protocol::Opcode::kText) return {};
    const std::string_view text = as_text(protocol::payload_of_frame(publication.wire.bytes()));
    SharedBytes event = SharedBytes::allocate(protocol::event_bytes(publication.event_id, text));
    protocol::write_event(event.mutable_bytes().data(), publication.event_id, text);
    return event;
  });
}

// There is no close handshake, and no code: the client comes back by itself.
void Worker::end_stream(int descriptor, Connection& connection, std::uint16_t code, Ending ending) {
  tell_closed(descriptor, connection, code);
  linger(descriptor, connection, ending);
}

}  // namespace holdfast::server
