#pragma once

// Finds the peers that are due for a ping, evenly over time.
//
// The table is walked kPasses times in each ping interval, a little at each sweep. A connection has
// its own phase: the pass whose number is that of its run of kRun neighbours, modulo kPasses. At
// its phase a silent peer is pinged, so idle peers are pinged exactly once an interval, and since
// descriptors are dense every pass has its even share of them. At other phases only a peer is
// pinged whose silence would outgrow the interval before the next pass; it comes back into step at
// its next phase. So does a newcomer, whose first ping comes early; but not while it talks: some
// clients answer a ping in the middle of a message that they are sending piece by piece, and so
// break it. One that said something just now is looked at again a little later.
//
// Runs, because sockets that were made one after the other lie side by side in the kernel's memory:
// pinging neighbours costs 5 to 8 % less than pinging every 20th.

#include <cstdint>

#include "base/time.h"
#include "server/connection_table.h"

namespace holdfast::server {

class Keepalive {
 public:
  static constexpr std::uint32_t kPasses = 20;
  static constexpr std::uint32_t kRun = 64;
  // Who spoke so lately may not be through with it; at most an eighth of the interval.
  static constexpr Duration kMidwordMax = std::chrono::seconds(2);
  static constexpr std::uint32_t kSecondLook = 3;  // passes later, which is more than an eighth
  static_assert(8 * kSecondLook > kPasses);
  static constexpr int kRowsPerSweepMin = 64;
  static constexpr Duration kSweepEvery = std::chrono::milliseconds(100);

  // `interval` 0: never.
  Keepalive(ConnectionTable& table, Duration interval) : table_(table), interval_(interval) {}

  Instant next_due() const { return next_due_; }
  // A connection was opened at `now`.
  void wake(Instant now);
  // Calls ping(descriptor, connection) for each peer that is due, after marking it.
  template <class Ping>
  void run(Instant now, Ping ping) {
    if (now < next_due_) return;
    const int end = table_.end();
    int steps = steps_until(now, end);
    for (; steps > 0; --steps) {
      if (cursor_ >= end) {
        cursor_ = 0;
        pass_ = (pass_ + 1) % kPasses;
      }
      Connection& connection = table_[cursor_];
      if (connection.state == State::kOpen && is_due(connection, now)) {
        connection.set(Connection::kPinged);
        connection.since = tick_of(now);
        ping(cursor_, connection);
      }
      ++cursor_;
    }
    schedule(now, end);
  }

 private:
  int steps_until(Instant now, int end);
  bool is_due(Connection& connection, Instant now) const;
  void schedule(Instant now, int end);

  ConnectionTable& table_;
  Duration interval_;
  Instant next_due_ = kNever;
  Instant last_run_{};
  double carried_ = 0;  // part of a step left over by the last sweep
  int cursor_ = 0;
  std::uint32_t pass_ = 0;
};

}  // namespace holdfast::server
