#pragma once

// What was said on channels whose events are kept, so that one who was away can be told what it
// missed.
//
// A channel counts its events: 1, 2, 3, … are their serials. How long that has gone on without a
// break is the channel's epoch. A new one begins where the count was forgotten: the process is
// new, nobody was on the channel for as long as its events are kept, or the memory was needed. So
// an epoch and a serial name a place in a channel's stream for good, and a place of another epoch
// is unknown.
//
//   1 2 3 4 5 6 7 8 9 10 11 │ 12 13 14 15 16
//   dropped: count, age,    │ kept            16: the channel's place now
//   or bytes of all         │
//
// Each event once, in order, none lost. append() counts an event, keeps it and publishes it under
// one lock, so that in every worker's mailbox events lie in the order of their serials. recover()
// calls `mark` under that lock too. If it posts a letter to the worker of the one who comes back
// (Peer::at_this_point_of), that letter lies behind all events up to N, the last one that recover()
// saw, and before N + 1. When the worker reads it, those up to N have gone to the channel's
// subscribers, of whom the newcomer is none yet, and later ones to nobody. So it is told what is
// kept up to N, is made a subscriber, and hears N + 1 with all others. That N + 1 comes to this
// worker at all is sure because the letter brings the worker's interest in the topic with it,
// before the lock is given back.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_bytes.h"
#include "base/time.h"

namespace holdfast::pusher {

// Which channels of an app keep their events, and how many.
struct HistoryRule {
  std::string prefix = {};     // of the channel's name; empty: all of them
  std::uint32_t events = 100;  // of one channel
  std::chrono::milliseconds age{std::chrono::minutes(2)};

  friend bool operator==(const HistoryRule&, const HistoryRule&) = default;
};

// A place in a channel's stream: behind the event `serial`.
struct Place {
  std::uint64_t epoch = 0;  // 0: nowhere
  std::uint64_t serial = 0;

  friend bool operator==(const Place&, const Place&) = default;
};

std::string epoch_text(std::uint64_t epoch);  // hexadecimal digits
// 0 for what is no epoch.
std::uint64_t parse_epoch(std::string_view text);
// "epoch:serial", the id of an event in a stream of them, and back; nothing for what is no such id.
std::string place_text(const Place& place);
std::optional<Place> parse_place(std::string_view text);

// The channels of one app. Any thread; a shard's lock is held for a look-up and a post, never over
// I/O. Lock order: history, book, broker.
class History {
 public:
  struct Missed {
    Place place;                           // the channel's now
    bool is_whole = false;                 // `events` are all that came behind the place asked for
    std::vector<SharedBytes> events = {};  // texts of frames
    std::uint64_t bytes = 0;               // of them
  };
  struct Figures {
    std::uint64_t channels = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;    // what all this takes, bookkeeping included
    std::uint64_t evicted = 0;  // events dropped before their time to make room, ever
  };
  // What an event and a channel take beside their text and name.
  static constexpr std::uint64_t kEventBytes = 64;
  static constexpr std::uint64_t kChannelBytes = 320;

  // No two processes may have the same seed: epochs come of it.
  explicit History(std::uint64_t seed) : seed_(seed) {}

  // Counts an event, writes its serial and epoch into `message` (a JSON object), keeps it for as
  // long as `rule` says, and calls `publish` under the lock. Beyond `bytes_max` in all, older
  // events give way.
  void append(std::string_view channel, const HistoryRule& rule, std::uint64_t bytes_max,
              std::string message, Instant now,
              const std::function<void(const std::string& message, const Place& place)>& publish);
  // Where a newcomer to the channel stands, and what came behind `from` (Place{}: it was never
  // here); see above for `mark`.
  Missed recover(std::string_view channel, const HistoryRule& rule, std::uint64_t bytes_max,
                 const Place& from, Instant now, const std::function<void()>& mark);
  // Events go by uncounted from now on, or went by: all counts begin anew.
  void forget_all();
  // Drops what is over. A channel where somebody is keeps its count. To be called now and then.
  void expire(Instant now, const std::function<bool(std::string_view channel)>& is_occupied);

  Figures figures() const;

 private:
  struct Kept {
    Instant at;
    SharedBytes text;
  };
  struct Channel {
    std::uint64_t epoch = 0;
    std::uint64_t serial = 0;
    Instant touched{};  // somebody came, spoke, or was here
    Duration age{};
    std::uint32_t events_max = 0;
    std::vector<Kept> kept = {};  // from `first` on; the newest has the serial
    std::size_t first = 0;

    std::size_t count() const { return kept.size() - first; }
    // When something of it is over.
    Instant due() const { return (count() > 0 ? kept[first].at : touched) + age; }
  };
  using Channels = std::map<std::string, Channel, std::less<>>;
  struct Shard {
    std::mutex mutex;
    Channels channels;
    // Each channel once, no later than when something of it is over.
    std::multimap<Instant, Channels::iterator> due;
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(std::string_view channel) {
    return shards_[std::hash<std::string_view>()(channel) % kShards];
  }
  Channel& touch(Shard& shard, std::string_view channel, const HistoryRule& rule, Instant now);
  void trim(Channel& channel, Instant now);
  void drop_oldest(Channel& channel);
  void make_room(Shard& shard, std::uint64_t bytes_max);
  void erase(Shard& shard, Channels::iterator found);

  const std::uint64_t seed_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> epochs_{0};
  std::atomic<std::uint64_t> channels_{0}, events_{0}, bytes_{0}, evicted_{0};
};

}  // namespace holdfast::pusher
