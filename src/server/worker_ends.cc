// How connections end.

#include "server/worker.h"

namespace holdfast::server {

// All is said; after the last queued byte our side is shut, and the peer has close_timeout to shut its own. Closing at once could turn
// unread input into an RST that overtakes what we said (RFC 9112 9.6).
void Worker::linger(int descriptor, Connection& connection, Ending ending) {
  if (connection.state == State::kOpen || connection.state == State::kClosing) {
    topics_.unsubscribe_all(static_cast<std::uint32_t>(descriptor));
    counters_.connections.subtract();
    counters_.of(ending).add();
  }
  connection.state = State::kLingering;
  connection.ending = static_cast<std::uint8_t>(ending);
  connection.since = tick_of(loop_.now());
  connection.clear(Connection::kPinged);
  closes_.push(descriptor, loop_.now());
  connection.set(Connection::kEndWhenSent);
  ended_.push_back(descriptor);
}

// After a flush: those whose last byte is out.
void Worker::end_sent() {
  if (ended_.empty()) return;
  for (const int descriptor : ended_) {
    Connection& connection = table_[descriptor];
    if (connection.state != State::kLingering || !connection.has(Connection::kEndWhenSent)) continue;
    if (connection.busy != nullptr && !connection.busy->outbox.is_empty()) continue;
    connection.clear(Connection::kEndWhenSent);
    // After a close handshake both sides have said all: the server ends TCP first (RFC 6455 7.1.1).
    if (connection.has(Connection::kHandshakeDone)) {
      release(descriptor, connection, static_cast<Ending>(connection.ending), 1005);
    } else {
      loop_.shutdown_send(descriptor);
    }
  }
  ended_.clear();
  loop_.flush();
}

// TCP ended or failed.
void Worker::peer_gone(int descriptor, Connection& connection, int error) {
  if (connection.state == State::kRequest && !connection.has(Connection::kRefuse)) counters_.of(Refusal::kLeft).add();
  const bool is_known = connection.state == State::kClosing || connection.state == State::kLingering;
  const Ending ending = is_known ? static_cast<Ending>(connection.ending) : error == 0 ? Ending::kPeerLeft : Ending::kReset;
  release(descriptor, connection, ending, 1006);
}

// The one place where a row is given back.
void Worker::release(int descriptor, Connection& connection, Ending ending, std::uint16_t code) {
  if (connection.state == State::kOpen || connection.state == State::kClosing) {
    const bool was_open = connection.state == State::kOpen;
    counters_.connections.subtract();
    counters_.of(ending).add();
    topics_.unsubscribe_all(static_cast<std::uint32_t>(descriptor));
    if (was_open) {
      connection.state = State::kClosing;  // the handler may not send any more
      Peer peer(*this, descriptor);
      router_.handler(connection.route).close(peer, code);
    }
  }
  if (connection.busy != nullptr) counters_.queued_bytes.subtract(connection.busy->outbox.bytes());
  if (connection.has(Connection::kCounted)) {
    admission_.leave(address_hashes_ == nullptr ? 0 : address_hashes_.get()[descriptor]);
  }
  counters_.descriptors.subtract();
  table_.release(descriptor);
  loop_.close(descriptor);
}

}  // namespace holdfast::server
