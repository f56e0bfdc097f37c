#pragma once

// A whole server and its peers in one thread, without a kernel and without time: real workers,
// handlers, broker and admission over simulated loops, moved on step by step as a seed decides. The
// same seed is the same run.
//
//   steps  peers come, speak, read, leave; bytes arrive; workers take turns; time passes
//   calm   the faults end and everybody reads: all that was promised must come
//   drain  all must end in time, and every counter must add up
//
// After each turn of a worker the invariants are looked at (audit.cc).

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "server/counters.h"
#include "simulator/ledger.h"
#include "simulator/peer.h"
#include "simulator/world.h"

namespace holdfast::simulator {

struct TlsOutcome {
  std::uint64_t established = 0, resumed = 0, attached = 0, waited = 0, old_refused = 0, failed = 0;
  std::uint64_t key_updates = 0, notified_ends = 0;

  void add(const TlsOutcome& other);
};

struct Outcome {
  std::string failure;      // empty: all was well
  std::string last_events;  // one a line
  std::uint64_t hash = 0;   // of all events: the same for the same seed and the same program
  std::uint64_t events = 0;
  // How often things came about, by the counters' names; to see that the odds reach everything.
  std::array<std::uint64_t, server::kRefusalNames.size()> refused{};
  std::array<std::uint64_t, server::kEndingNames.size()> ended{};
  std::uint64_t accepted = 0, opened = 0, requests = 0, messages = 0, deliveries = 0, dropped = 0,
                conflated = 0, lost = 0;
  // Peers that agreed on compression, and bytes sent to them so; publications in windows.
  std::uint64_t agreed = 0, deflated_bytes = 0, gathered = 0;
  TlsOutcome tls;

  void add(const Outcome& other);
};

class Simulation {
 public:
  // `live`: prints every event as it happens. `sabotage`: what is to go wrong, to see that it is
  // seen.
  explicit Simulation(std::uint64_t seed, bool live = false, Sabotage sabotage = Sabotage::kNone);
  ~Simulation();

  // Once.
  Outcome run();
  // What it has come to so far; for one that dies in the middle.
  std::string last_events() const { return world_.trace.last(); }

 private:
  // simulation.cc
  void step();
  void connect();
  void publish();
  void turn(Post& post);
  void settle();
  bool give_turns();
  void pass_time();
  void jump();
  void drain();
  void run_until(Instant end);
  void calm_down();
  void finish();
  void retire();
  Instant wakes_at(const Post& post) const;
  Instant next_wake() const;
  Outcome outcome() const;

  // audit.cc
  void audit(Post& post);
  void judge_close(Post& post, const Link& link);
  std::string_view reason_of_early_end(const Link& link) const;
  std::string_view reason_of_end(const Link& link) const;
  void check_counters(const Post& post);
  void check_queues(const Post& post);
  std::uint64_t waiting_bytes_max(const Link& link) const;
  void check_interest(const Post& post);
  void check_deadlines(const Post& post);
  void check_limits();
  void check_end();
  void check_tls(const Post& post);
  void fail(const Post& post, std::string_view what);
  int index_of(const Post& post) const { return static_cast<int>(&post - posts_.data()); }

  World world_;
  server::Router router_;
  server::Admission admission_;
  std::vector<Post> posts_;
  Ledger ledger_;
  std::deque<Peer> peers_;  // by link
  std::vector<Peer*> living_;
};

}  // namespace holdfast::simulator
