#pragma once

// What one run found out, or several together: plain values, written by load_run, read by
// everything that shows them.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "load/histogram.h"
#include "load/this_machine.h"

namespace holdfast::load {

// How many for each reason: "HTTP 503", "ECONNREFUSED", "close 1001".
using Reasons = std::map<std::string, std::uint64_t>;
std::uint64_t sum(const Reasons& reasons);
void add(Reasons& into, const Reasons& other);

// One second of the wall clock.
struct Second {
  std::uint64_t open = 0;  // connections at its end
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
  std::uint64_t lost = 0;
  std::uint64_t pings = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::vector<Bucket> latency;  // of the messages that arrived in it; ascending
};
// Adds what happened elsewhere in the same second.
void add(Second& into, const Second& other);
// Of ascending buckets; 0 where there are none.
Duration percentile(const std::vector<Bucket>& buckets, double percent);

// Pings of the server that arrived during the hold, on the connections that were there to its end.
struct PingFacts {
  std::uint64_t connections = 0;
  std::uint64_t total = 0;
  std::uint64_t least = 0;  // on one connection
  std::uint64_t most = 0;
  std::int64_t first_whole_second =
      0;  // since 1970; the hold's broken first and last seconds are left out
  std::uint64_t whole_seconds = 0;
  std::uint64_t in_whole_seconds = 0;  // pings of those, on all connections
  std::uint64_t most_in_a_second = 0;
};

// Echoes, or deliveries of publications.
struct MessageFacts {
  std::uint64_t sent = 0;      // echo: messages; fanout: publications that the server took
  Reasons refused;             // fanout: publications that it did not
  std::uint64_t expected = 0;  // arrivals that these should have made
  std::uint64_t received = 0;  // those that were made, each counted once
  std::uint64_t duplicates = 0;
  std::uint64_t reordered = 0;       // arrived behind a later one
  std::uint64_t wrong = 0;           // not what was sent
  std::uint64_t foreign = 0;         // published by somebody else; an idle run: all that came
  std::uint64_t unsent = 0;          // due, but the socket took no more
  std::uint64_t received_bytes = 0;  // payload
  Histogram latency;                 // from the intended send time to arrival
  Histogram
      lateness;  // from the intended send time to the real one: the generator's own part of it
  Histogram publishing;  // fanout: from the real send time of a POST to its answer

  std::uint64_t missing() const { return expected > received ? expected - received : 0; }
};
void add(MessageFacts& into, const MessageFacts& other);

// Handshakes of TLS, publishers' among them, and what became of those that ended in none.
struct TlsFacts {
  std::uint64_t full = 0;
  std::uint64_t resumed = 0;   // with a ticket
  std::uint64_t attached = 0;  // of the connections opened: OpenSSL keeps them (TLS 1.2 and others)
  std::uint64_t unexpected = 0;  // of these: something was not as this program knows it
  // Came to nothing:
  std::uint64_t unverified = 0;  // the certificate is not one to trust
  std::uint64_t alerts = 0;      // the server said why
  std::uint64_t timeouts = 0;
  std::uint64_t others = 0;

  std::uint64_t failed() const { return unverified + alerts + timeouts + others; }
};
void add(TlsFacts& into, const TlsFacts& other);

// One drop and return of a storm.
struct StormRound {
  std::uint64_t dropped = 0;
  std::uint64_t returned = 0;
  std::uint64_t refusals = 0;  // of the same peer again and again, too
  Duration time_to_full{0};    // from the drop's end; until given up where not all returned
};

// Peers that are not expected to stay: those that vanish, or stop reading.
struct OddPeerFacts {
  std::string kind;  // "silent", "mute", "slow"; empty where there are none
  std::uint64_t asked = 0;
  std::uint64_t opened = 0;
  std::uint64_t dropped = 0;  // by the server, while it was watched
  Histogram dropped_after;  // slow: since the last byte that we read; vanished: since the last that
                            // we sent
  std::uint64_t still_held() const { return opened - dropped; }
};

// What the generator itself used. `busy` is the mean share of its workers' time spent on a CPU or
// waiting for one.
struct OwnUse {
  Duration user{0};
  Duration system{0};
  Duration wall{0};
  std::uint64_t cpus = 0;
  double busy_opening = 0;
  double busy_holding = 0;
  std::uint64_t resident_bytes_max = 0;

  double share_of_cpus() const;
};

struct Verdict {
  enum class Kind : std::uint8_t { kHeld, kGeneratorBound, kLost };  // the worse, the later
  Kind kind = Kind::kHeld;
  std::string text;                // "held", "lost 12 connections", "generator-bound"
  std::vector<std::string> notes;  // why, and what to know besides
};

struct Report {
  std::string version;
  std::string command_line;
  std::vector<MachineFacts> machines;
  std::string url;
  std::string scenario;
  std::string io;
  std::uint64_t workers = 0;
  std::uint64_t source_addresses = 0;
  bool interrupted = false;

  // Asked for.
  std::uint64_t connections = 0;  // in all; the odd ones among them
  std::uint64_t rate = 0;         // opens a second; 0: as fast as it goes
  Duration hold{0};
  double message_rate = 0;
  std::uint64_t message_bytes = 0;

  // Opening: the first time only.
  std::uint64_t opened = 0;
  Reasons refused;
  std::uint64_t never_tried = 0;
  Duration time_to_open{0};  // from the first connect() to the last answer
  Histogram opening;         // from each connect() to its 101; the returns of a storm among them

  TlsFacts tls;  // wss://: of the returns of a storm, too

  // Holding.
  std::uint64_t held = 0;  // open at the end of the hold; without the odd ones
  Reasons lost;
  std::uint64_t server_closed = 0;
  std::uint64_t pings_in_all = 0;
  Duration held_for{0};
  PingFacts pings;
  MessageFacts messages;
  std::vector<StormRound> rounds;
  OddPeerFacts odd;

  OwnUse own;
  std::int64_t series_start = 0;  // the first second of `series`, since 1970
  std::vector<Second> series;
  Verdict verdict;

  // What the series says of pings in `whole_seconds` from `first_whole_second` on.
  void count_pings_by_second();
  std::uint64_t missing()
      const;  // connections asked for and not held, without odd ones that were opened
};

}  // namespace holdfast::load
