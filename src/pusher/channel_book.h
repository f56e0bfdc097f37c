#pragma once

// Who is where: for each app and channel the subscriptions, the members of presence channels, and
// the last event of cache channels, over all workers (docs/adr/0007). Any thread; a shard's lock is
// held for a few look-ups and never over I/O.
//
// Whatever is announced of a change is announced under the lock that made it, so all subscribers
// hear of the changes in the order in which they happened. One who joins hears all that come behind
// its snapshot and none of those before, since its place in the order is taken under that lock too
// (arrival.h).
//
// A user whose last connection leaves a presence channel stays a member for kAbsence, for everybody
// alike: for those who are there and for the snapshots of newcomers. Whoever is back by then was
// never away; settle() ends the absences of the others.

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace holdfast::pusher {

class ChannelBook {
 public:
  // An absence so short is none: that of a page that is loaded again, or of a line that was lost.
  static constexpr Duration kAbsence = std::chrono::seconds(3);

  struct Present {
    std::string info;           // JSON text
    std::uint32_t connections;  // of this user, on this channel; 0: it is absent
    std::uint32_t absence;      // 0 connections: the number of its Absence
  };
  using Members = std::map<std::string, Present, std::less<>>;
  // One channel of one app, while somebody is on it or absent from it. Its name never changes; the
  // rest is the book's and under its lock.
  struct Channel {
    const std::string* key = nullptr;  // "app\0channel"
    std::uint32_t app_bytes = 0;
    std::uint32_t subscriptions = 0;
    std::unique_ptr<Members> members;  // presence channels alone

    std::string_view name() const { return std::string_view(*key).substr(app_bytes + 1); }
    std::string_view app() const { return std::string_view(*key).substr(0, app_bytes); }
  };
  // Called under the lock when a user is no member any more.
  using Gone = std::function<void(const Channel& channel, std::string_view user)>;
  // One connection on one channel; given back by leave(). Null: nowhere.
  struct Membership {
    Channel* channel = nullptr;
    const Members::value_type* member = nullptr;  // presence channels alone

    std::string_view user() const { return member == nullptr ? std::string_view() : member->first; }
  };

  struct Member {
    std::string_view id;
    std::string_view info;  // JSON text
  };
  struct Joined {
    Membership place;                 // null: the channel has members_max members already
    std::uint64_t subscriptions = 0;  // with this one
    std::uint64_t users = 0;
    bool is_new_member = false;  // the user was not there, nor absent for a moment
    std::string presence;        // {"presence":{…}}: the members now, the new one included
  };
  struct Left {
    std::uint64_t subscriptions = 0;
    bool is_absent = false;  // the user has no other connection here
  };
  struct Cached {
    std::string message;  // the text of the frame
    Instant until;
  };
  struct Figures {
    std::uint64_t subscriptions = 0;
    std::uint64_t users = 0;
  };

  explicit ChannelBook(Gone gone = {}) : gone_(std::move(gone)) {}

  // A full channel takes a newcomer in the place of one who is absent. One who comes back as
  // another (its info changed) has gone and is new. `tell` is called under the lock, for every join
  // that succeeds and every leave; null: nobody is.
  Joined join(std::string_view app, std::string_view channel, const std::optional<Member>& member,
              std::uint32_t members_max, const std::function<void(const Joined&)>& tell);
  // The membership is no more; its channel's name and user are good until `tell` has returned.
  Left leave(const Membership& membership, Instant now,
             const std::function<void(const Left&)>& tell);
  // Ends the absences that are over, at most kSettledMax of each shard: what is announced of them
  // takes its place in mailboxes. To be called about once a second.
  void settle(Instant now);

  // Keeps `message` as the channel's last until then, and calls `publish` under the lock.
  void remember(std::string_view app, std::string_view channel, std::string message, Instant until,
                const std::function<void()>& publish);
  std::optional<Cached> last_event(std::string_view app, std::string_view channel, Instant now);
  // The same from within the `tell` of a join, where the lock is held: its message; empty: none.
  std::string last_event_within(const Membership& place, Instant now);
  // Forgets the events whose time is over. To be called now and then.
  void expire(Instant now);

  // Of channels that somebody is on. Users who are absent count, as they do for subscribers.
  std::optional<Figures> figures(std::string_view app, std::string_view channel);
  // Calls `tell` under the lock; a channel that nobody is on has figures of 0.
  void look(std::string_view app, std::string_view channel,
            const std::function<void(const Figures&)>& tell);
  std::vector<std::pair<std::string, Figures>> channels(std::string_view app,
                                                        std::string_view prefix);
  std::vector<std::string> users(std::string_view app, std::string_view channel);
  // The channels with the most subscriptions, of all apps, the largest first. Users' own are none.
  // A look at every channel, a shard at a time.
  struct Large {
    std::string app, channel;
    Figures figures;
  };
  std::vector<Large> largest(std::size_t most);
  // All that is kept, of all apps: what nobody needs must go.
  struct Held {
    std::size_t channels = 0;  // with those where somebody is absent alone
    std::size_t absences = 0;  // and returns not yet forgotten
    std::size_t cached = 0;    // last events
  };
  Held held();

 private:
  struct Absence {
    Instant until;
    Channel* channel;
    Members::value_type* member;  // null: it is back, or gone
  };
  struct Shard {
    std::mutex mutex;
    std::map<std::string, Channel, std::less<>> channels;
    std::map<std::string, Cached, std::less<>> cache;
    // In the order of their ends. Numbered one after the other, so that a member's is found at
    // once.
    std::deque<Absence> absences;
    std::uint32_t first_absence = 0;  // the number of the first
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kSettledMax = 512;

  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>()(key) % kShards];
  }
  // The lock is held.
  Members::value_type* enter(Shard& shard, Channel& place, const Member& member,
                             std::uint32_t members_max, Joined& joined);
  void end_absence(Shard& shard, Channel& place, Members::value_type& member);
  static void forget_if_empty(Shard& shard, Channel& place);

  Gone gone_;

  std::array<Shard, kShards> shards_;
};

}  // namespace holdfast::pusher
