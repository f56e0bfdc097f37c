#pragma once

// When peers' names were handed out, without a byte for each: serials rise, so a list of moments,
// each with the last serial of its time, tells of every one. Exact to a second, or to a 32nd of the
// age.
//
//   moment  0 s     1 s     2 s         5,000 was handed out between 1 s and 2 s
//   last    4,100   9,000   9,700

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.h"

namespace holdfast::server {

// Used by one thread.
class NamingTimes {
 public:
  static constexpr Duration kStep = std::chrono::seconds(1);
  static constexpr std::size_t kEntriesMax = 1'024;  // 16 KiB
  static constexpr int kExactness = 32;

  // `serial` is handed out now. It is greater than all before, or the counting begins anew.
  void note(std::uint32_t serial, Instant now) {
    if (!entries_.empty() && serial <= entries_.back().last) entries_.clear();
    if (entries_.empty() || now - entries_.back().since >= kStep) {
      if (entries_.size() >= kEntriesMax) thin_out(now);
      entries_.push_back({now, serial});
    }
    entries_.back().last = serial;
  }
  // Never too late. Instant() for a serial that was not noted.
  Instant when(std::uint32_t serial) const {
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), serial,
                         [](const Entry& entry, std::uint32_t one) { return entry.last < one; });
    return found == entries_.end() ? Instant() : found->since;
  }

 private:
  struct Entry {
    Instant since;       // of its first serial
    std::uint32_t last;  // serial
  };

  // An entry that goes leaves its serials to the one before it; as many go as may. Some hundreds
  // stay, even after years.
  void thin_out(Instant now) {
    std::vector<Entry> kept = {entries_.front()};
    for (std::size_t i = 1; i < entries_.size(); ++i) {
      const Instant end = i + 1 < entries_.size() ? entries_[i + 1].since : now;
      if ((end - kept.back().since) * kExactness <= now - end) {
        kept.back().last = entries_[i].last;
      } else {
        kept.push_back(entries_[i]);
      }
    }
    entries_ = std::move(kept);
  }

  std::vector<Entry> entries_;
};

}  // namespace holdfast::server
