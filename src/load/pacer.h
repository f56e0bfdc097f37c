#pragma once

// An even pace: event k is due at start + k / rate. What was not done in time stays due, so a stall
// is caught up and seen as lateness, never forgotten.

#include <cstdint>

#include "base/time.h"

namespace holdfast::load {

class Pacer {
 public:
  // `per_second` > 0 events, the first at `start`.
  Pacer(Instant start, double per_second) : start_(start), interval_ns_(1e9 / per_second) {}

  // When the next event should happen, or should have happened.
  Instant next_due() const {
    return start_ + Duration(static_cast<std::int64_t>(static_cast<double>(done_) * interval_ns_));
  }
  // The next event happened.
  void advance() { ++done_; }
  std::uint64_t done() const { return done_; }

 private:
  Instant start_;
  double interval_ns_;
  std::uint64_t done_ = 0;
};

}  // namespace holdfast::load
