#include "load/conductor.h"

#include <algorithm>

namespace holdfast::load {
namespace {

// Nothing came for so long: nothing more will come.
constexpr Duration kQuiet = std::chrono::seconds(1);

}  // namespace

bool Conductor::pass(Phase phase, Instant now) {
  if (phase_ == Phase::kHold) hold_ended_ = now;
  phase_ = phase;
  phase_began_ = now;
  last_arrival_ = now;
  if (phase == Phase::kHold) hold_began_ = now;
  if (phase == Phase::kOpen && drops_ == 0) opening_began_ = now;
  baton_.pass(phase);
  return true;
}

void Conductor::interrupt(Instant now) {
  if (phase_ == Phase::kLeave) return;
  interrupted_ = true;
  pass(Phase::kLeave, now);
}

bool Conductor::step(Instant now, const LiveSum& sum) {
  // Nobody is left behind: a phase that some have not seen is not over.
  if (sum.step != baton_.read().number) return false;
  switch (phase_) {
    case Phase::kReady:
      return pass(Phase::kOpen, now);
    case Phase::kOpen:
      return step_open(now, sum);
    case Phase::kHold:
      return step_hold(now);
    case Phase::kSettle:
      return step_settle(now, sum);
    case Phase::kDrop:
      return sum.phase_done && pass(Phase::kOpen, now);
    case Phase::kLeave:
      return false;
  }
  return false;
}

// Those that are refused in a storm come again and again, so that only time ends it. Elsewhere
// every attempt ends by itself.
Duration Conductor::opening_max() const {
  if (options_.scenario != Scenario::kStorm) return Duration::max();
  if (drops_ > 0 || options_.rate == 0) return options_.return_timeout;
  return options_.return_timeout + std::chrono::seconds(options_.connections / options_.rate);
}

bool Conductor::step_open(Instant now, const LiveSum& sum) {
  const Duration lasted = now - phase_began_;
  if (!sum.phase_done && lasted < opening_max()) return false;
  if (drops_ > 0) times_to_full_.push_back(lasted);
  // Nobody came: there is nothing to hold.
  return pass(sum.open == 0 ? Phase::kLeave : Phase::kHold, now);
}

bool Conductor::step_hold(Instant now) {
  const bool drops_again = options_.scenario == Scenario::kStorm && drops_ < options_.rounds;
  const Duration hold =
      drops_again ? std::min<Duration>(options_.hold, kStormPause) : Duration(options_.hold);
  if (now - phase_began_ < hold) return false;
  if (!drops_again) return pass(has_traffic_ ? Phase::kSettle : Phase::kLeave, now);
  ++drops_;
  return pass(Phase::kDrop, now);
}

bool Conductor::step_settle(Instant now, const LiveSum& sum) {
  if (sum.received != last_received_) {
    last_received_ = sum.received;
    last_arrival_ = now;
  }
  const bool quiet = sum.phase_done && now - last_arrival_ >= kQuiet;
  return (quiet || now - phase_began_ >= options_.settle) && pass(Phase::kLeave, now);
}

}  // namespace holdfast::load
