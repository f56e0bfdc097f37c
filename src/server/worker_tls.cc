// TLS, between the loop's bytes and a connection's two lives: records are opened where they were
// received, and sealed when they are sent.

#include <algorithm>

#include "server/worker.h"

namespace holdfast::server {
namespace {

// One under way costs 44 KiB in OpenSSL: so many of them, 22 MiB. The others wait in their order,
// each with its first flight alone.
constexpr std::uint32_t kShakingMax = 512;
// A flight of ours costs 0.2 ms (ECDSA): so many in a turn let established peers wait no longer
// than some 5 ms.
constexpr std::uint32_t kBegunInTurnMax = 24;
constexpr std::uint32_t kStepsInTurnMax = 24;
// The longest flight of a client, with a chain of certificates, and what may come right behind it.
constexpr std::size_t kPutOffBytesMax = 128 * 1024;
// Where somebody waits for its place, one that has not answered for so long has no place any more:
// that is ten round trips over any line. Else so many that never answer would shut all others out
// for as long as a handshake may take.
constexpr Duration kStalledAfter = std::chrono::seconds(2);
// The first flight of a client that waits; more has no honest reason.
constexpr std::size_t kWaitingBytesMax = 16 * 1024;
// Sealed at once of what waits for a slow reader.
constexpr std::uint64_t kFrontBytes = 64 * 1024;
// Who is over a limit can be told why behind a handshake alone, which is what the limit is there to
// spare. So few of them cost less than a hundredth of this worker's time, with RSA too; and they
// take few of the places.
constexpr std::uint32_t kToldInASecondMax = 16;
constexpr std::size_t kShakingMaxToTell = 64;

// Whether one that is over a limit may shake hands to be told so. Nobody else waits for it.
bool may_tell(TlsTable& tls, Instant now) {
  if (!tls.waiting.empty() || tls.shaking.size() >= kShakingMaxToTell) return false;
  if (now - tls.told_since >= std::chrono::seconds(1)) {
    tls.told_since = now;
    tls.told = 0;
  }
  return tls.told < kToldInASecondMax;
}

}  // namespace

void Worker::take_plaintext(int descriptor, Connection& connection, MutableBytes bytes) {
  switch (connection.state) {
    case State::kOpen:
    case State::kClosing:
      return take_frames(descriptor, connection, bytes);
    case State::kProxyHeader:
      return take_proxy_header(descriptor, connection, bytes);
    case State::kRequest:
      return take_request(descriptor, connection, bytes);
    case State::kFree:
    case State::kLingering:
      return;
  }
}

void Worker::take_ciphertext(int descriptor, Connection& connection, MutableBytes bytes) {
  if (connection.state == State::kProxyHeader)
    return take_proxy_header(descriptor, connection, bytes);
  if (connection.state == State::kFree || connection.state == State::kLingering) return;
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  if (codec.is_begun()) return go_on(descriptor, connection, bytes);
  if (connection.has(Connection::kRefuse)) {
    if (!may_begin_handshake() || !may_tell(*tls_, loop_.now())) {
      codec.wait({});  // it is alerted, as one that waited in vain
      return fail_tls(descriptor, connection, protocol::TlsAlert::kInternalError);
    }
    ++tls_->told;
    return begin_handshake(descriptor, connection, bytes);
  }
  if (!codec.is_waiting() && may_begin_handshake() && tls_->waiting.empty())
    return begin_handshake(descriptor, connection, bytes);
  if (!codec.is_waiting()) {
    counters_.tls_waited.add();
    tls_->waiting.push_back(descriptor);
  }
  codec.wait(bytes);
  if (codec.waiting_bytes() > kWaitingBytesMax)
    fail_tls(descriptor, connection, protocol::TlsAlert::kHandshakeFailure);
}

bool Worker::may_begin_handshake() const {
  return tls_->shaking.size() < kShakingMax && tls_->begun_in_turn < kBegunInTurnMax &&
         tls_->steps_in_turn < kStepsInTurnMax;
}

void Worker::begin_handshake(int descriptor, Connection& connection, MutableBytes bytes) {
  auto context = traits_of(connection).tls->present(number_);
  context->tickets()->rotate(loop_.now());
  const bool newest_only =
      context->detaches() && counters_.tls_held.read() >= settings_.tls_attached_max;
  (*tls_)[descriptor].begin(std::move(context), newest_only);
  tls_->shaking[descriptor] = loop_.now();
  ++tls_->begun_in_turn;
  if (!tls_->is_locked()) counters_.tls_unlocked.set(1);
  ++tls_->begun;
  open_records(descriptor, connection, bytes);
}

const ClientCertificate* Worker::client_certificate(int descriptor) const {
  return table_[descriptor].tls ? (*tls_)[descriptor].client_certificate() : nullptr;
}

// Established peers' words are taken at once, those of a handshake in their turn.
void Worker::go_on(int descriptor, Connection& connection, MutableBytes bytes) {
  const bool in_time = tls_->put_off.empty() && tls_->steps_in_turn < kStepsInTurnMax;
  if (in_time || !(*tls_)[descriptor].is_shaking_hands())
    return open_records(descriptor, connection, bytes);
  const auto [entry, is_first] = tls_->put_off_words.try_emplace(descriptor);
  if (is_first) tls_->put_off.push_back(descriptor);
  std::vector<std::byte>& words = entry->second;
  words.insert(words.end(), bytes.begin(), bytes.end());
  tls_->shaking[descriptor] = loop_.now();  // it waits for us
  if (words.size() > kPutOffBytesMax)
    fail_tls(descriptor, connection, protocol::TlsAlert::kHandshakeFailure);
}

void Worker::go_on_with_those_put_off() {
  while (!tls_->put_off.empty() && tls_->steps_in_turn < kStepsInTurnMax) {
    const int descriptor = tls_->put_off.front();
    tls_->put_off.pop_front();
    const auto words = tls_->put_off_words.extract(descriptor);
    Connection& connection = table_[descriptor];
    if (words.empty() || connection.state == State::kLingering) continue;
    open_records(descriptor, connection, words.mapped());
  }
}

// After everything else that this turn brought.
void Worker::begin_waiting() {
  if (tls_ == nullptr) return;
  go_on_with_those_put_off();
  while (!tls_->waiting.empty() && tls_->begun_in_turn < kBegunInTurnMax &&
         tls_->steps_in_turn < kStepsInTurnMax) {
    const int descriptor = tls_->waiting.front();
    Connection& connection = table_[descriptor];
    const bool still_waits =
        connection.state == State::kRequest && connection.tls && (*tls_)[descriptor].is_waiting();
    if (still_waits && !may_begin_handshake() && !end_stalled()) break;
    tls_->waiting.pop_front();
    if (!still_waits) continue;
    std::vector<std::byte> bytes = (*tls_)[descriptor].take_waiting();
    begin_handshake(descriptor, connection, bytes);
  }
  tls_->begun_in_turn = tls_->steps_in_turn = 0;
}

// When one of those that wait may begin, or one that was put off go on.
Instant Worker::handshake_due() const {
  if (!tls_->put_off.empty()) return loop_.now();
  if (tls_->waiting.empty()) return kNever;
  if (may_begin_handshake() || tls_->shaking.empty()) return loop_.now();
  return longest_stalled()->second + kStalledAfter;
}

std::map<int, Instant>::const_iterator Worker::longest_stalled() const {
  return std::min_element(tls_->shaking.begin(), tls_->shaking.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
}

// Makes room for one that waits. False: all of them go on.
bool Worker::end_stalled() {
  const auto [descriptor, since] = *longest_stalled();
  if (judged_at(kStalledAfter) - since < kStalledAfter) return false;
  Connection& connection = table_[descriptor];
  if (connection.state == State::kRequest) {
    fail_tls(descriptor, connection, protocol::TlsAlert::kHandshakeFailure, Refusal::kTimeout);
  } else {
    give_up_handshake(descriptor, protocol::TlsAlert::kCloseNotify);  // it has left by half
  }
  return true;
}

void Worker::open_records(int descriptor, Connection& connection, MutableBytes bytes) {
  using Kind = protocol::TlsOpened::Kind;
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  note_alive(connection);  // also half a record
  while (true) {
    const protocol::TlsOpened opened = codec.next(tls_->engine, bytes, tls_->scratch);
    switch (opened.kind) {
      case Kind::kMore:
        // Its turn comes when the turn ends; with what else there is to say.
        if (codec.has_something_to_say() && !connection.has(Connection::kQueued))
          queue(descriptor, connection, {}, -1);
        if (codec.is_shaking_hands()) has_newcomers_ = true;  // the rest comes right behind
        return;
      case Kind::kNothing:
        // Our flight goes out: from now on it is the client's turn.
        if (codec.is_shaking_hands() && codec.has_something_to_say()) {
          tls_->shaking[descriptor] = loop_.now();
          ++tls_->steps_in_turn;
        }
        break;
      case Kind::kEstablished:
        ++tls_->steps_in_turn;
        has_newcomers_ = true;
        if (!note_established(descriptor, codec, opened.resumed))
          return fail_tls(descriptor, connection, protocol::TlsAlert::kCloseNotify);
        break;
      case Kind::kData:
        take_plaintext(descriptor, connection, opened.plaintext);
        if (connection.state == State::kFree || connection.state == State::kLingering) return;
        break;
      case Kind::kClosed:
        // It is answered (RFC 8446 6.1), behind what was said before.
        if (!has_unsent(connection)) say_last_word(descriptor);
        return peer_gone(descriptor, connection, 0);
      case Kind::kAlerted:
        counters_.tls_failed.add();
        return peer_gone(descriptor, connection, ECONNABORTED);
      case Kind::kFailed:
        ++tls_->steps_in_turn;
        if (codec.handshake() != nullptr && codec.handshake()->was_too_old())
          counters_.tls_old_refused.add();
        return fail_tls(descriptor, connection, opened.alert);
    }
  }
}

// False: it stays with OpenSSL, which holds as many as it may. They began before the limit was
// reached.
bool Worker::note_established(int descriptor, const protocol::TlsCodec& codec, bool resumed) {
  tls_->shaking.erase(descriptor);
  counters_.tls_established.add();
  if (resumed) counters_.tls_resumed.add();
  if (codec.is_detached()) return true;
  counters_.tls_held.add();
  if (codec.handshake()->was_unexpected()) {
    counters_.tls_unexpected.add();
  } else {
    counters_.tls_attached.add();
  }
  if (!codec.handshake()->detaches() || counters_.tls_held.read() <= settings_.tls_attached_max)
    return true;
  counters_.tls_old_refused.add();
  return false;
}

// Its place and OpenSSL's object are free at once, whatever the socket takes.
void Worker::give_up_handshake(int descriptor, protocol::TlsAlert alert) {
  tls_->shaking.erase(descriptor);
  (*tls_)[descriptor].give_up(alert);
}

// RFC 8446 6.2: say why, and read no more.
void Worker::fail_tls(int descriptor, Connection& connection, protocol::TlsAlert alert,
                      Refusal reason) {
  counters_.tls_failed.add();
  count_unanswered(connection, reason);
  if (connection.state == State::kOpen) tell_closed(descriptor, connection, 1006);
  if ((*tls_)[descriptor].is_established()) {
    (*tls_)[descriptor].end_writing(tls_->engine, alert);
  } else {
    give_up_handshake(descriptor, alert);
  }
  queue(descriptor, connection, {}, -1);
  linger(descriptor, connection, Ending::kViolation);
}

// Its time is up. An answer of HTTP could not be read. One that waited did nothing wrong: we had no
// time for it (internal_error, as in an emergency). Of one that stopped in the middle the terms
// were never agreed on. False: it is established, or never said a word that could be answered.
bool Worker::expire_handshake(int descriptor, Connection& connection) {
  const protocol::TlsCodec& codec = (*tls_)[descriptor];
  if (!codec.is_waiting() && !codec.is_shaking_hands()) return false;
  fail_tls(descriptor, connection,
           codec.is_waiting() ? protocol::TlsAlert::kInternalError
                              : protocol::TlsAlert::kHandshakeFailure,
           Refusal::kTimeout);
  return true;
}

void Worker::submit_sealed(int descriptor) {
  std::vector<Bytes>& pieces = tls_->pieces;
  pieces.clear();
  for (std::uint32_t index = transmit_.first_of(descriptor);;) {
    const TransmitQueue::Piece& piece = transmit_.piece(index);
    if (!piece.bytes.empty()) pieces.push_back(piece.bytes);
    if (transmit_.is_last(descriptor, index)) break;
    index = piece.next;
  }
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  const Bytes sealed =
      codec.seal(tls_->engine, pieces, [&](std::size_t size) { return transmit_.reserve(size); });
  if (sealed.empty()) return;
  const auto tag = static_cast<std::uint32_t>(submissions_.size());
  submissions_.push_back({descriptor, 0, 0, sealed});
  loop_.send(descriptor, sealed, tag);
}

// What was sealed is never sealed again: a socket that took half of it gets the other half.
void Worker::keep_sealed(int descriptor, Connection& connection, Bytes rest) {
  Outbox& outbox = connection.make_busy().outbox;
  outbox.push_sealed(SharedBytes::copy_of(rest));
  counters_.queued_bytes.add(rest.size());
  if (outbox.bytes() > settings_.queue_bytes_max) overfull_.push_back(descriptor);
  if (connection.has(Connection::kWaitsWritable)) return;
  connection.set(Connection::kWaitsWritable);
  loop_.want_writable(descriptor);
}

// Turns the first of what waits into records.
void Worker::seal_front(int descriptor, Outbox& outbox) {
  if (outbox.entries().front().sealed) return;
  std::vector<Bytes>& pieces = tls_->pieces;
  pieces.clear();
  std::uint64_t bytes = 0;
  for (const Outbox::Entry& entry : outbox.entries()) {
    if (entry.sealed || bytes >= kFrontBytes) break;
    pieces.push_back(entry.rest());
    bytes += entry.rest().size();
  }
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  const Bytes sealed =
      codec.seal(tls_->engine, pieces, [&](std::size_t size) { return transmit_.reserve(size); });
  const std::uint64_t before = outbox.bytes();
  outbox.replace_front(pieces.size(), SharedBytes::copy_of(sealed));
  counters_.queued_bytes.add(outbox.bytes() - before);
}

// RFC 8446 6.1: close_notify before the end of our side.
void Worker::say_last_word(int descriptor) {
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  if (!codec.is_begun()) return;
  const Bytes sealed = codec.seal_end(tls_->engine, protocol::TlsAlert::kCloseNotify,
                                      [&](std::size_t size) { return transmit_.reserve(size); });
  if (!sealed.empty()) loop_.send(descriptor, sealed, kLastWordTag);
}

void Worker::forget_tls(int descriptor) {
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  tls_->shaking.erase(descriptor);
  tls_->put_off_words.erase(descriptor);
  if (codec.is_attached()) counters_.tls_held.subtract();
  codec.end(tls_->engine);
}

}  // namespace holdfast::server
