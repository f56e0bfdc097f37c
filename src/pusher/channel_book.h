#pragma once

// Who is where: for each app and channel the subscriptions, the members of presence channels, and
// the last event of cache channels, over all workers (docs/adr/0007). Any thread; a shard's lock is
// held for a few look-ups and never over I/O.
//
// Whatever is announced of a change is announced under the lock that made it, so all subscribers
// hear of the changes in the order in which they happened. One who subscribes to the topic before
// it joins hears a suffix of that order, which may repeat changes that its snapshot has already;
// applied to the snapshot it leads to the truth.

#include <array>
#include <chrono>
#include <cstdint>
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
  struct Present {
    std::string info;           // JSON text
    std::uint32_t connections;  // of this user, on this channel
  };
  using Members = std::map<std::string, Present, std::less<>>;
  // One channel of one app, while somebody is on it. Its name never changes; the rest is the book's
  // and under its lock.
  struct Channel {
    const std::string* key = nullptr;  // "app\0channel"
    std::uint32_t app_bytes = 0;
    std::uint32_t subscriptions = 0;
    std::unique_ptr<Members> members;  // presence channels alone

    std::string_view name() const { return std::string_view(*key).substr(app_bytes + 1); }
    std::string_view app() const { return std::string_view(*key).substr(0, app_bytes); }
  };
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
    bool is_new_member = false;  // the user was not there by another connection
    std::string presence;        // {"presence":{…}}: the members now, the new one included
  };
  struct Left {
    std::uint64_t subscriptions = 0;
    bool is_gone = false;  // the user has no other connection here
  };
  struct Cached {
    std::string message;  // the text of the frame
    Instant until;
  };
  struct Figures {
    std::uint64_t subscriptions = 0;
    std::uint64_t users = 0;
  };

  // `tell` is called under the lock, for every join that succeeds and every leave; null: nobody is.
  Joined join(std::string_view app, std::string_view channel, const std::optional<Member>& member,
              std::uint32_t members_max, const std::function<void(const Joined&)>& tell);
  // The membership is no more; its channel's name and user are good until `tell` has returned.
  Left leave(const Membership& membership, const std::function<void(const Left&)>& tell);

  // Keeps `message` as the channel's last until then, and calls `publish` under the lock.
  void remember(std::string_view app, std::string_view channel, std::string message, Instant until,
                const std::function<void()>& publish);
  std::optional<Cached> last_event(std::string_view app, std::string_view channel, Instant now);
  // Forgets what is over. To be called now and then.
  void expire(Instant now);

  std::optional<Figures> figures(std::string_view app, std::string_view channel);
  std::vector<std::pair<std::string, Figures>> channels(std::string_view app,
                                                        std::string_view prefix);
  std::vector<std::string> users(std::string_view app, std::string_view channel);

 private:
  struct Shard {
    std::mutex mutex;
    std::map<std::string, Channel, std::less<>> channels;
    std::map<std::string, Cached, std::less<>> cache;
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>()(key) % kShards];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace holdfast::pusher
