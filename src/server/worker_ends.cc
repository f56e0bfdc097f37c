// How connections end.

#include "server/worker.h"

namespace holdfast::server {
namespace {

// What one that is being closed has to read, to be given more time: slower than any line that a
// browser is used over (128 kbit/s). So a byte now and then holds no connection open.
constexpr std::uint64_t kPartingBytesPerSecondMin = 16 * 1024;

}  // namespace

// All is said; after the last queued byte our side is shut, and the peer has close_timeout to shut
// its own. That is first a FIN of ours, as RFC 6455 7.1.1 wants it of a server. Closing at once
// could turn input that is unread, or still comes, into an RST that overtakes what we said (RFC
// 9112 9.6).
void Worker::linger(int descriptor, Connection& connection, Ending ending) {
  if (connection.state == State::kOpen || connection.state == State::kClosing) {
    counters_.connections.subtract();
    if (connection.is_event_stream()) counters_.event_streams.subtract();
    counters_.of(ending).add();
  }
  connection.state = State::kLingering;
  connection.end_as(ending);
  connection.clear(Connection::kPinged);
  begin_close_deadline(descriptor, connection);
  connection.set(Connection::kEndWhenSent);
  ended_.push_back(descriptor);
}

// Every end of an open peer comes by here, once. The handler may not send any more: nothing goes
// out behind a Close.
void Worker::tell_closed(int descriptor, Connection& connection, std::uint16_t code) {
  connection.state = State::kClosing;
  topics_.unsubscribe_all(static_cast<std::uint32_t>(descriptor));
  Peer peer(*this, descriptor);
  router_.handler(connection.route).close(peer, code);
}

// From now on, the peer has close_timeout.
void Worker::begin_close_deadline(int descriptor, Connection& connection) {
  connection.since = tick_of(loop_.now());
  closes_.push(descriptor, loop_.now());
}

// Its pong did not come. Where the path has a close code for it, that is the last word: it may be
// alive, and only its pongs do not get through.
void Worker::end_silent(int descriptor, Connection& connection) {
  const std::uint16_t code = router_.handler(connection.route).no_pong_code();
  if (code == 0 || has_unsent(connection))
    return release(descriptor, connection, Ending::kPongMissed, 1006);
  close(descriptor, code, "no pong came", Ending::kPongMissed);
  linger(descriptor, connection, Ending::kPongMissed);
}

// One that is being closed and reads is not late: a large answer takes its time. In all it has
// three times close_timeout, and a second for each kPartingBytesPerSecondMin that it is owed.
void Worker::prolong(int descriptor, Connection& connection, std::uint64_t taken) {
  const Tick now = tick_of(loop_.now());
  auto& parting = connection.busy->parting;
  if (!parting) parting = {connection.since, 0};
  parting->taken += taken;
  const std::chrono::milliseconds age(ticks_since(now, parting->since));
  const std::chrono::milliseconds earned(parting->taken * 1000 / kPartingBytesPerSecondMin);
  if (connection.since != now && age <= settings_.close_timeout + earned)
    begin_close_deadline(descriptor, connection);
}

// After a flush: those whose last byte is out.
void Worker::end_sent() {
  if (ended_.empty()) return;
  for (const int descriptor : ended_) {
    Connection& connection = table_[descriptor];
    if (connection.state != State::kLingering || !connection.has(Connection::kEndWhenSent))
      continue;
    if (connection.busy != nullptr && !connection.busy->outbox.is_empty()) continue;
    connection.clear(Connection::kEndWhenSent);
    if (connection.tls) say_last_word(descriptor);
    if (connection.has(Connection::kPeerDone)) {
      release(descriptor, connection, static_cast<Ending>(connection.ending), 1005);
    } else {
      loop_.shutdown_send(descriptor);
    }
  }
  ended_.clear();
  loop_.flush();
}

// A request that gets no answer is refused, unless that was counted when it came.
void Worker::count_unanswered(const Connection& connection, Refusal reason) {
  const bool is_early =
      connection.state == State::kRequest || connection.state == State::kProxyHeader;
  if (!is_early || connection.has(Connection::kRefuse) || connection.is_between_requests()) return;
  counters_.of(reason).add();
}

bool Worker::has_unsent(const Connection& connection) {
  return connection.has(Connection::kQueued) ||
         (connection.busy != nullptr && !connection.busy->outbox.is_empty());
}

// TCP ended or failed.
void Worker::peer_gone(int descriptor, Connection& connection, int error) {
  count_unanswered(connection, Refusal::kLeft);
  if (error == 0 && has_unsent(connection)) return say_the_rest(descriptor, connection);
  const bool is_known =
      connection.state == State::kClosing || connection.state == State::kLingering;
  const Ending ending = is_known     ? static_cast<Ending>(connection.ending)
                        : error == 0 ? Ending::kPeerLeft
                                     : Ending::kReset;
  release(descriptor, connection, ending, 1006);
}

// The peer ended its side alone (RFC 9293 3.6: it may still read): what was said to it goes out
// before TCP ends.
void Worker::say_the_rest(int descriptor, Connection& connection) {
  connection.set(Connection::kPeerDone);
  if (connection.state == State::kLingering) return;
  const Ending ending = connection.state == State::kClosing ? static_cast<Ending>(connection.ending)
                                                            : Ending::kPeerLeft;
  if (connection.state == State::kOpen) tell_closed(descriptor, connection, 1006);
  linger(descriptor, connection, ending);
}

// The one place where a row is given back.
void Worker::release(int descriptor, Connection& connection, Ending ending, std::uint16_t code) {
  if (connection.state == State::kOpen || connection.state == State::kClosing) {
    counters_.connections.subtract();
    if (connection.is_event_stream()) counters_.event_streams.subtract();
    counters_.of(ending).add();
    if (connection.state == State::kOpen) tell_closed(descriptor, connection, code);
  }
  if (connection.busy != nullptr) counters_.queued_bytes.subtract(connection.busy->outbox.bytes());
  leave(descriptor, connection);
  counters_.descriptors.subtract();
  belongings_.forget(descriptor);
  if (connection.tls) forget_tls(descriptor);
  table_.release(descriptor);
  loop_.close(descriptor);
}

}  // namespace holdfast::server
