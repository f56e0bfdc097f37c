#pragma once

// Who is where: for each app and channel the subscriptions, the members of presence channels, and
// the last event of cache channels, over all workers. Any thread; a shard's lock is held for a few
// look-ups, never over I/O.

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
  struct Member {
    std::string_view id;
    std::string_view info;  // JSON text
  };
  struct Joined {
    enum class Refusal : std::uint8_t { kNone, kTooManyMembers };
    Refusal refusal = Refusal::kNone;
    std::uint64_t subscriptions = 0;  // with this one
    bool is_new_member = false;       // the user was not there by another connection
    std::string presence;  // {"presence":{…}}: the members at this moment, the new one included
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

  // `tell` is called under the lock when the user is new to (joined) or gone from (left) the
  // channel, so that what it publishes stands in the same order as the book's changes.
  using Tell = std::function<void()>;

  Joined join(std::string_view app, std::string_view channel, const std::optional<Member>& member,
              std::uint32_t members_max, const Tell& tell);
  Left leave(std::string_view app, std::string_view channel, std::string_view user,
             const Tell& tell);

  void remember(std::string_view app, std::string_view channel, std::string message, Instant until);
  std::optional<Cached> last_event(std::string_view app, std::string_view channel, Instant now);

  std::optional<Figures> figures(std::string_view app, std::string_view channel);
  std::vector<std::pair<std::string, Figures>> channels(std::string_view app,
                                                        std::string_view prefix);
  std::vector<std::string> users(std::string_view app, std::string_view channel);

 private:
  struct Present {
    std::string info;
    std::uint32_t connections;
  };
  struct Channel {
    std::uint64_t subscriptions = 0;
    std::unique_ptr<std::map<std::string, Present, std::less<>>>
        members;  // presence channels alone
  };
  struct Shard {
    std::mutex mutex;
    std::map<std::string, Channel, std::less<>> channels;  // "app\0channel"
    std::map<std::string, Cached, std::less<>> cache;
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>()(key) % kShards];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace holdfast::pusher
