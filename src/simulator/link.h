#pragma once

// One TCP connection between a simulated peer and a worker: what lies in the kernel's buffers on
// its way, and what is known of it.
//
//   peer ──► in_flight ──► arrived ──► worker ──► outbound ──► peer
//
// The peer and the link of the same number belong together.

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.h"

namespace holdfast::simulator {

// What the handlers and the loop saw of a connection. The invariants are judged by these, not by
// what the worker says of itself.
struct Facts {
  Instant accepted_at{}, http_at{}, received_at{}, ended_at{}, shut_at{}, took_at{}, short_at{};
  Instant read_on_at{};          // its socket took something of what it had not taken at once
  bool was_opened = false;       // the handler's open() was called
  bool was_ended = false;        // and its close()
  bool was_refused = false;      // a status of 400 or more was offered to it
  bool was_short = false;        // the socket took less than was offered the last time
  bool was_answered = false;     // so was one below 400, other than 101
  std::uint64_t bytes_read = 0;  // by the worker
  std::uint32_t subscribed = 0;  // topics, a bit each
  std::array<std::uint8_t, 8> wishes{};  // for each of them: an index of kWishes (ledger.h)
  std::deque<std::uint32_t> owed;        // publications on their way to the peer, in their order
  // The fewest bytes that waited in the worker after a turn since was_ended.
  std::optional<std::uint64_t> left_waiting;
};

struct Link {
  enum class Stage : std::uint8_t {
    kBacklog,  // asks to be accepted
    kHeld,     // has a descriptor
    kClosing,  // close() was called; the descriptor is free after the flush
    kGone,
  };

  int id = -1;
  int worker = -1;
  std::uint32_t address = 0;
  // Through a balancer: it begins with a PROXY header of so many bytes, which may be wrong.
  bool is_proxied = false;
  bool is_header_wrong = false;
  std::size_t header_bytes = 0;
  bool is_tls = false;
  bool is_tls_over = false;  // the peer said close_notify or an alert, or what is no TLS
  Stage stage = Stage::kBacklog;
  int descriptor = -1;

  std::string in_flight;       // said by the peer, not arrived
  std::string arrived;         // to be read by the worker
  bool fin_in_flight = false;  // behind in_flight
  bool fin_arrived = false;    // behind arrived
  int failure = 0;             // an errno: the connection is dead
  bool end_told = false;       // the worker knows of the FIN or the failure

  std::string outbound;      // taken from the worker, not read by the peer
  std::size_t capacity = 0;  // of outbound, in bytes
  // TLS records that the worker offered, of which nothing was taken yet: they must be offered again
  // as they are. And how far that has come in this flush.
  std::string offered;
  std::size_t offered_again = 0;
  bool wants_writable = false;
  bool is_shut = false;   // the worker ended its side
  bool is_reset = false;  // the worker's side was torn down; outbound may be lost

  Facts facts;

  bool is_readable() const {
    return stage == Stage::kHeld && !end_told && (!arrived.empty() || fin_arrived || failure != 0);
  }
  bool is_writable() const {
    return stage == Stage::kHeld && wants_writable && (outbound.size() < capacity || failure != 0);
  }
};

}  // namespace holdfast::simulator
