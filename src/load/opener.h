#pragma once

// Which connection to open next, and when: a paced run over all of them, and those that have to
// come again.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.h"
#include "load/pacer.h"

namespace holdfast::load {

class Opener {
 public:
  explicit Opener(std::uint32_t connections) : connections_(connections), fresh_(connections) {}

  // All of them, from the first on: so many a second from `now`, or without a pace (0).
  void begin(Instant now, double per_second) {
    fresh_ = 0;
    retries_.clear();
    pacer_.reset();
    if (per_second > 0) pacer_.emplace(now, per_second);
  }
  // No more from now on. Returns how many were never taken.
  std::uint32_t give_up() {
    const auto left = connections_ - fresh_ + static_cast<std::uint32_t>(retries_.size());
    fresh_ = connections_;
    retries_.clear();
    return left;
  }
  // This one has to come again, not before `when`. Calls are made in the order of `when`.
  void retry(std::uint32_t ordinal, Instant when) { retries_.push_back({when, ordinal}); }

  bool done() const { return fresh_ == connections_ && retries_.empty(); }

  // When the next one is due; kNever where there is none.
  Instant next_due() const {
    Instant due = kNever;
    if (fresh_ < connections_) due = pacer_ ? pacer_->next_due() : Instant();
    if (!retries_.empty()) due = std::min(due, retries_.front().when);
    return due;
  }
  // The next one, where one is due.
  std::optional<std::uint32_t> take(Instant now) {
    if (!retries_.empty() && retries_.front().when <= now) {
      const std::uint32_t ordinal = retries_.front().ordinal;
      retries_.pop_front();
      return ordinal;
    }
    if (fresh_ == connections_ || (pacer_ && pacer_->next_due() > now)) return std::nullopt;
    if (pacer_) pacer_->advance();
    return fresh_++;
  }

 private:
  struct Retry {
    Instant when;
    std::uint32_t ordinal;
  };

  std::uint32_t connections_;
  std::uint32_t fresh_;
  std::optional<Pacer> pacer_;
  std::deque<Retry> retries_;
};

}  // namespace holdfast::load
