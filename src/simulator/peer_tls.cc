// The side of a peer that speaks TLS: what lies between its bytes and the server's.

#include <fmt/format.h>

#include "simulator/peer.h"

namespace holdfast::simulator {

void Peer::begin_tls() {
  tls_ = std::make_unique<TlsEnd>(world_.random, *world_.tls);
  pass_on();
}

// What OpenSSL has to send, also what nobody said: answers to the handshake and to key updates.
void Peer::pass_on() {
  std::string records = tls_->take_output();
  if (may_say()) link_.in_flight += records;
}

// Whether it did something that only a peer with TLS can do.
bool Peer::talk_tls() {
  if (breaks_rules_ && !is_guilty_ && world_.random.chance(4)) {
    break_tls();
    return true;
  }
  if (!world_.random.chance(4)) return false;
  tls_->update_keys(world_.random.chance(50));
  pass_on();
  return true;
}

// No honest peer does it, or somebody on the way does. Nothing of it may reach a handler: the
// answers that come are compared with what was asked, as always.
void Peer::break_tls() {
  is_guilty_ = true;
  link_.is_tls_over = true;
  std::string& records = link_.in_flight;
  switch (world_.random.below(5)) {
    case 0:
      if (!records.empty()) {
        char& byte = records[world_.random.below(records.size())];
        byte = static_cast<char>(byte ^ (1 << world_.random.below(8)));
        return;
      }
      [[fallthrough]];
    case 1:
      records += std::string("\x17\3\3\0\x20", 5) + std::string(32, 'x');
      return;
    case 2:
      records += "\x17\3\3\x48\1";  // longer than a record may be
      return;
    case 3:
      records += std::string("\x15\3\3\0\2\2\x28", 7);  // an alert in plain text
      return;
    default:
      // The end of TCP in the middle of a record.
      records.resize(world_.random.below(records.size() + 1));
      said_end_ = true;
      link_.fin_in_flight = true;
      world_.note(What::kPeerEnds, link_.worker, link_.id);
  }
}

// A FIN may follow, or not.
void Peer::say_tls_end() {
  is_guilty_ = true;
  link_.is_tls_over = true;
  tls_->end();
  pass_on();
}

std::string Peer::open_records(std::string_view bytes) {
  std::string plaintext = tls_->hear(bytes);
  if (tls_->state() == TlsEnd::State::kFailed) link_.is_tls_over = true;  // it says an alert
  pass_on();
  return plaintext;
}

// The server takes so many connections of TLS 1.2, or none.
bool Peer::may_be_too_old() const {
  return tls_->is_old() && (!world_.scenario.allows_tls12 || world_.scenario.detaches);
}

// Its first flight did not come whole in time: that is said before anything is agreed on.
bool Peer::may_be_too_late() const {
  const Duration age = world_.now - link_.facts.accepted_at + std::chrono::milliseconds(2);
  return !tls_->has_heard() && age >= world_.scenario.settings.handshake_timeout;
}

// That costs no handshake: for want of one, it is told so in few words.
bool Peer::may_be_over_limit() const {
  return !tls_->has_heard() && tls_->reason().ends_with("alert internal error");
}

void Peer::hear_tls_end() {
  switch (tls_->state()) {
    case TlsEnd::State::kShaking:
    case TlsEnd::State::kTalking:
      return;
    case TlsEnd::State::kEnded:
      if (is_open() && !is_guilty_) return fail("close_notify without a Close");
      if (tls_->has_more()) return fail("records behind close_notify (RFC 8446 6.1)");
      return;
    case TlsEnd::State::kFailed:
      if (!is_guilty_ && !may_be_too_old() && !may_be_too_late() && !may_be_over_limit())
        return fail(fmt::format("TLS: {}", tls_->reason()));
      stage_ = Stage::kOver;
      said_end_ = true;
      link_.fin_in_flight = true;
  }
}

// TCP ended. Where the server did that in peace, and the socket had room, close_notify came first.
void Peer::check_tls_end() const {
  const Facts& facts = link_.facts;
  const bool is_peaceful = facts.shut_at != Instant{} && !link_.is_reset && link_.failure == 0;
  if (tls_->state() == TlsEnd::State::kEnded && is_peaceful) ++world_.tls->notified_ends;
  if (!is_peaceful || is_guilty_ || facts.was_short) return;
  if (tls_->state() == TlsEnd::State::kTalking && tls_->has_heard())
    fail("TCP ended without a close_notify (RFC 8446 6.1)");
}

}  // namespace holdfast::simulator
