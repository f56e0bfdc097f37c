#pragma once

// Decides when a run goes on: from what the workers have done, and from the time. It owns no thread
// and reads no clock.

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "load/baton.h"
#include "load/live_counters.h"
#include "load/load_options.h"

namespace holdfast::load {

class Conductor {
 public:
  // How long a storm holds before each drop, at most: long enough to see that all stand.
  static constexpr Duration kStormPause = std::chrono::seconds(2);

  // `has_traffic`: messages are sent while holding, so that the last ones must be waited for. Both
  // references must outlive it.
  Conductor(const LoadOptions& options, bool has_traffic, Baton& baton)
      : options_(options), has_traffic_(has_traffic), baton_(baton) {}

  // Looks at how far all are, and passes the baton when it is time. Returns whether it passed it.
  bool step(Instant now, const LiveSum& sum);
  // Go to the end at once: somebody asked for it, or a worker failed.
  void interrupt(Instant now);

  Phase phase() const { return phase_; }
  bool interrupted() const { return interrupted_; }

  // When what happened; Instant() where it did not.
  Instant opening_began() const { return opening_began_; }
  Instant hold_began() const { return hold_began_; }  // the last one
  Instant hold_ended() const { return hold_ended_; }
  // Of each return after a drop, until all were back or it was given up.
  const std::vector<Duration>& times_to_full() const { return times_to_full_; }

 private:
  bool pass(Phase phase, Instant now);
  bool step_open(Instant now, const LiveSum& sum);
  bool step_hold(Instant now);
  bool step_settle(Instant now, const LiveSum& sum);
  Duration opening_max() const;

  const LoadOptions& options_;
  bool has_traffic_;
  Baton& baton_;
  Phase phase_ = Phase::kReady;
  Instant phase_began_;
  bool interrupted_ = false;
  std::uint32_t drops_ = 0;
  std::uint64_t last_received_ = 0;
  Instant last_arrival_;
  Instant opening_began_;
  Instant hold_began_;
  Instant hold_ended_;
  std::vector<Duration> times_to_full_;
};

}  // namespace holdfast::load
