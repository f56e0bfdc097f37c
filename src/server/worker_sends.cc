// How bytes leave: gathered in the transmit queue, written once a turn, and kept in the outbox
// where the socket is full.

#include <algorithm>
#include <array>

#include "base/check.h"
#include "protocol/frame.h"
#include "server/worker.h"

namespace holdfast::server {

void Worker::queue(int descriptor, Connection& connection, Bytes bytes, std::int32_t shared) {
  counters_.bytes_sent.add(bytes.size());
  if (connection.busy != nullptr && !connection.busy->outbox.is_empty()) {
    if (bytes.empty()) return;  // what TLS has to say comes with the next that is sent
    return keep(descriptor, connection.busy->outbox, {bytes, shared}, 0);
  }
  transmit_.push(descriptor, !connection.has(Connection::kQueued), bytes, shared);
  connection.set(Connection::kQueued);
}

// Behind bytes that wait for the socket; `taken` bytes of the piece went out. Messages that were
// joined for sending part again: each may be dropped, or give its place to a newer value, alone.
void Worker::keep(int descriptor, Outbox& outbox, const TransmitQueue::Piece& piece,
                  std::uint32_t taken) {
  const std::uint64_t before = outbox.bytes();
  const auto messages = transmit_.messages(piece);
  if (messages.empty()) outbox.push(SharedBytes::copy_of(piece.bytes), taken, false, 0);
  for (const TransmitQueue::Message& message : messages) {
    const auto size = static_cast<std::uint32_t>(message.bytes.size());
    if (taken >= size) {
      taken -= size;
      continue;
    }
    if (message.value != 0 && taken == 0 && outbox.replace(message.value, message.bytes)) {
      counters_.messages_conflated.add();
    } else {
      outbox.push(message.bytes, taken, true, message.value);
    }
    taken = 0;
  }
  counters_.queued_bytes.add(outbox.bytes() - before);
  if (outbox.bytes() > settings_.queue_bytes_max) overfull_.push_back(descriptor);
}

void Worker::flush() {
  for (const int descriptor : resumed_) resume(descriptor, table_[descriptor]);
  resumed_.clear();
  for (const int descriptor : transmit_.peers()) {
    // A row released in this turn has lost the mark.
    if (!table_[descriptor].has(Connection::kQueued)) continue;
    table_[descriptor].clear(Connection::kQueued);
    if (table_[descriptor].tls) {
      submit_sealed(descriptor);
    } else {
      submit(descriptor);
    }
  }
  const auto unsent = loop_.flush();
  for (const net::Unsent& one : unsent) take_unsent(one);
  transmit_.clear();
  submissions_.clear();
  for (const int descriptor : overfull_) enforce_queue_limit(descriptor, table_[descriptor]);
  overfull_.clear();
  end_sent();
}

void Worker::submit(int descriptor) {
  std::array<Bytes, net::Loop::kPiecesPerSendMax> pieces;
  std::uint32_t index = transmit_.first_of(descriptor);
  while (true) {
    const std::uint32_t first = index;
    std::uint32_t count = 0;
    bool last = false;
    while (!last && count < pieces.size()) {
      const TransmitQueue::Piece& piece = transmit_.piece(index);
      pieces[count++] = piece.bytes;
      last = transmit_.is_last(descriptor, index);
      index = piece.next;
    }
    const auto tag = static_cast<std::uint32_t>(submissions_.size());
    submissions_.push_back({descriptor, first, count, {}});
    if (count == 1) {
      loop_.send(descriptor, pieces[0], tag);
    } else {
      loop_.send(descriptor, std::span<const Bytes>(pieces.data(), count), tag);
    }
    if (last) return;
  }
}

void Worker::take_unsent(const net::Unsent& unsent) {
  if (unsent.tag == kLastWordTag) return;
  const Submission submission = submissions_[unsent.tag];
  Connection& connection = table_[submission.descriptor];
  if (connection.state == State::kFree) return;
  if (unsent.error != EAGAIN) return peer_gone(submission.descriptor, connection, unsent.error);
  if (!submission.sealed.empty())
    return keep_sealed(submission.descriptor, connection, submission.sealed.subspan(unsent.taken));
  keep_rest(submission.descriptor, connection, submission.first, submission.count, unsent.taken);
}

void Worker::keep_rest(int descriptor, Connection& connection, std::uint32_t first,
                       std::uint32_t count, std::uint32_t taken) {
  Outbox& outbox = connection.make_busy().outbox;
  std::uint32_t index = first;
  for (; count > 0; --count) {
    const TransmitQueue::Piece& piece = transmit_.piece(index);
    index = piece.next;
    const auto size = static_cast<std::uint32_t>(piece.bytes.size());
    if (taken < size) keep(descriptor, outbox, piece, taken);
    taken -= std::min(taken, size);
  }
  if (!connection.has(Connection::kWaitsWritable)) {
    connection.set(Connection::kWaitsWritable);
    loop_.want_writable(descriptor);
  }
}

// There is room in the socket again.
void Worker::resume(int descriptor, Connection& connection) {
  if (connection.state == State::kFree || !connection.has(Connection::kWaitsWritable)) return;
  connection.clear(Connection::kWaitsWritable);
  if (connection.busy == nullptr || connection.busy->outbox.is_empty()) return;
  Outbox& outbox = connection.busy->outbox;
  while (!outbox.is_empty()) {
    std::array<Bytes, net::Loop::kPiecesPerSendMax> pieces;
    std::uint32_t count = 0;
    std::uint64_t offered = 0;
    if (connection.tls) seal_front(descriptor, outbox);
    for (const Outbox::Entry& entry : outbox.entries()) {
      if (count == pieces.size() || (connection.tls && !entry.sealed)) break;
      pieces[count++] = entry.rest();
      offered += entry.rest().size();
    }
    if (count == 0) continue;  // TLS keeps it, or has said its last word
    loop_.send(descriptor, std::span<const Bytes>(pieces.data(), count), kRetryTag);
    std::uint64_t taken = offered;
    for (const net::Unsent& unsent : loop_.flush()) {
      if (unsent.tag == kLastWordTag) continue;
      CHECK(unsent.tag == kRetryTag);
      taken = unsent.taken;
      if (unsent.error != EAGAIN) return peer_gone(descriptor, connection, unsent.error);
    }
    outbox.consume(taken);
    counters_.queued_bytes.subtract(taken);
    const bool is_ending =
        connection.state == State::kClosing || connection.state == State::kLingering;
    if (is_ending && taken > 0) prolong(descriptor, connection, taken);
    if (taken > 0) connection.busy->took = tick_of(loop_.now());
    if (taken < offered) {
      connection.set(Connection::kWaitsWritable);
      return loop_.want_writable(descriptor);
    }
  }
  // What a handshake had to say while all this waited: nobody else will send it.
  if (connection.tls && (*tls_)[descriptor].has_something_to_say())
    queue(descriptor, connection, {}, -1);
  if (connection.has(Connection::kEndWhenSent)) ended_.push_back(descriptor);
  connection.busy->took.reset();
  connection.rest();
  if (connection.state != State::kOpen) return;
  // Only now the ping is out.
  if (connection.has(Connection::kPinged)) await_pong(descriptor, connection);
  Peer peer(*this, descriptor);
  router_.handler(connection.route).drain(peer);
}

// What waits for the socket, and what this turn has queued so far.
std::uint64_t Worker::queued_bytes(int descriptor) {
  const Connection& connection = table_[descriptor];
  std::uint64_t bytes = connection.busy == nullptr ? 0 : connection.busy->outbox.bytes();
  if (!connection.has(Connection::kQueued)) return bytes;
  std::uint32_t index = transmit_.first_of(descriptor);
  while (true) {
    const TransmitQueue::Piece& piece = transmit_.piece(index);
    bytes += piece.bytes.size();
    if (transmit_.is_last(descriptor, index)) return bytes;
    index = piece.next;
  }
}

// Options::queue_full. What cannot be dropped (answers, control frames, half a message) counts too:
// a peer with more than the limit of those is disconnected under either policy.
void Worker::enforce_queue_limit(int descriptor, Connection& connection) {
  if (connection.state == State::kFree || connection.busy == nullptr) return;
  Outbox& outbox = connection.busy->outbox;
  if (settings_.drop_oldest) {
    while (outbox.bytes() > settings_.queue_bytes_max) {
      const std::uint64_t before = outbox.bytes();
      if (!outbox.drop_oldest()) break;
      counters_.messages_dropped.add();
      counters_.queued_bytes.subtract(before - outbox.bytes());
    }
  }
  if (outbox.bytes() <= settings_.queue_bytes_max) return;
  if (connection.state == State::kRequest || connection.state == State::kLingering)
    return;  // one HTTP answer; bounded by its own deadline
  const bool is_told = connection.state == State::kClosing &&
                       static_cast<Ending>(connection.ending) == Ending::kQueueFull;
  if (is_told) return;  // nothing is added any more
  end_slow(descriptor, connection);
}

// Where the path has a close code for it, the Close takes the place of what waits: the peer hears
// it if it reads on within close_timeout.
void Worker::end_slow(int descriptor, Connection& connection) {
  const bool is_told = connection.state == State::kOpen && !connection.is_event_stream();
  const std::uint16_t code =
      is_told ? router_.handler(connection.route).queue_full_code() : std::uint16_t{0};
  Outbox& outbox = connection.busy->outbox;
  if (code == 0 || outbox.holds_handshake())
    return release(descriptor, connection, Ending::kQueueFull, 1006);
  counters_.queued_bytes.subtract(outbox.bytes());
  outbox.drop_unbegun();
  std::array<std::byte, protocol::kCloseFrameBytesMax> frame;
  const std::size_t size =
      protocol::write_close_frame(frame.data(), code, "this connection reads too slowly");
  outbox.push(SharedBytes::copy_of(Bytes(frame).first(size)), 0, false, 0);
  counters_.bytes_sent.add(size);
  counters_.queued_bytes.add(outbox.bytes());
  begin_closing(descriptor, connection, Ending::kQueueFull, 1006);
}

}  // namespace holdfast::server
