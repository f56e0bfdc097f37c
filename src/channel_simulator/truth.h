#pragma once

// Who is on which channel, and who is a member of it, as the protocol's rules have it: by user and
// not by connection, and a user who is away for less than three seconds is there. A second opinion
// beside ChannelBook, kept of what the handler was told and as simply as can be: a set of
// connections for each user in place of counts.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "pusher/client_message.h"

namespace holdfast::channel_simulator {

class Truth {
 public:
  static constexpr Duration kAbsence = std::chrono::seconds(3);

  struct Member {
    std::string info;
    std::set<int> links = {};  // none: away
    Instant absent_until{};    // then
  };
  struct Room {
    std::set<int> links;
    std::map<std::string, Member, std::less<>> members;  // presence channels alone
  };

  explicit Truth(std::uint32_t members_max) : members_max_(members_max) {}

  // A connection is a link's number.
  void subscribe(int link, std::string_view channel, const std::optional<pusher::Identity>& who);
  void unsubscribe(int link, std::string_view channel, Instant now);
  void sign_in(int link, const pusher::Identity& who) { signed_in_.emplace(link, who); }
  // The connection is no more.
  void leave(int link, Instant now);
  // The second's tick.
  void settle(Instant now);

  bool is_on(int link, std::string_view channel) const;
  std::optional<pusher::Identity> signed_in(int link) const;
  bool is_online(std::string_view user) const;
  // {id: info} of those who are there.
  std::map<std::string, std::string> members(std::string_view channel) const;
  std::size_t subscriptions(std::string_view channel) const;
  bool is_empty() const { return rooms_.empty() && signed_in_.empty(); }

  // How often users came back in time, and how often they did not.
  std::uint64_t returns = 0, removals = 0, refusals = 0;

 private:
  void forget_if_empty(std::string_view channel);

  std::uint32_t members_max_;
  std::map<std::string, Room, std::less<>> rooms_;
  std::map<int, pusher::Identity> signed_in_;
};

}  // namespace holdfast::channel_simulator
