#pragma once

// What kind of run a seed makes. Each seed draws its own limits and its own odds, so that some runs
// are calm and some are storms, and a fault that hides behind another shows where the other is
// absent.

#include <cstdint>

#include "server/admission.h"
#include "server/worker.h"
#include "simulator/random.h"

namespace holdfast::simulator {

// Times in a hundred, unless it says otherwise.
struct Odds {
  unsigned accept_fails;      // EMFILE although there are descriptors
  unsigned short_read;        // less is read than has arrived
  unsigned short_write;       // less is taken than there is room for
  unsigned stale_completion;  // one that was collected before its descriptor was closed is still
                              // delivered
  unsigned send_dies;  // in a thousand: the connection turns out to be dead when it is written to
  unsigned jump;       // in a thousand steps: nobody runs for a while
  unsigned idle_turn;  // a worker wakes without a reason
  unsigned slow_peer, deaf_peer, vanishing_peer,
      broken_peer;  // reads late, never reads, goes without a word, breaks the rules
};

struct Scenario {
  explicit Scenario(std::uint64_t seed);

  // Peers may be closed for saying too much.
  bool limits_rates() const {
    return settings.message_rate_max != 0 || settings.byte_rate_max != 0;
  }

  std::uint32_t workers;
  server::WorkerSettings settings;
  server::AdmissionLimits admission;
  std::uint32_t mailbox_max;
  std::uint32_t events_max;  // completions that a loop collects at once
  std::uint32_t addresses;   // that peers come from
  std::uint32_t peers_at_once;
  std::uint32_t steps;
  Duration pace;  // how long nothing happens, at most, between two steps of most kinds
  std::uint32_t buffer_bytes_min, buffer_bytes_max;  // what lies between a send() and the peer
  std::uint32_t message_bytes_max;                   // what peers say in a message
  bool drains_early;
  DeflateChoice deflate;  // of all listeners
  unsigned proxied;       // of a hundred connections, those that come through a balancer
  unsigned tls;           // of a hundred connections, those that speak TLS
  bool detaches;          // where TLS 1.3 can be taken over from OpenSSL, it is
  bool allows_tls12;
  Odds odds;
};

}  // namespace holdfast::simulator
