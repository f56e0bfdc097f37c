#pragma once

// Deadlines that all have the same length. What began first ends first, so a queue is a perfect
// timer wheel: 8 bytes for each deadline under way, nothing to re-link. A deadline that was met
// stays in the queue and is recognised when its time comes: the connection's `since` is another by
// then.

#include <boost/container/deque.hpp>
#include <optional>

#include "base/time.h"

namespace holdfast::server {

class DeadlineQueue {
 public:
  struct Entry {
    int descriptor;
    Tick since;
  };

  explicit DeadlineQueue(Duration length)
      : length_(length),
        ticks_(static_cast<std::int32_t>(
            std::chrono::ceil<std::chrono::milliseconds>(length).count())) {}

  // `now` never goes back between two pushes.
  void push(int descriptor, Instant now) {
    if (entries_.empty()) front_due_ = now + length_;
    entries_.push_back({descriptor, tick_of(now)});
  }
  // The next entry whose time has come. The caller looks whether it still stands.
  std::optional<Entry> pop_due(Instant now) {
    if (entries_.empty()) return std::nullopt;
    const Entry front = entries_.front();
    const std::int32_t left = ticks_ - ticks_since(tick_of(now), front.since);
    if (left > 0) {
      front_due_ = now + std::chrono::milliseconds(left);
      return std::nullopt;
    }
    entries_.pop_front();
    front_due_ = now;
    return front;
  }
  // When to call pop_due() next; kNever when nothing waits.
  Instant next_due() const { return entries_.empty() ? kNever : front_due_; }

 private:
  Duration length_;
  std::int32_t ticks_;
  // In pieces of two pages. The 512 bytes of a std::deque's, taken between the handshakes' own
  // memory and let go long after it, would each hold a page that went back otherwise.
  using Blocks = boost::container::deque_options_t<boost::container::block_bytes<8192U>>;
  boost::container::deque<Entry, void, Blocks> entries_;
  Instant front_due_ = kNever;
};

}  // namespace holdfast::server
