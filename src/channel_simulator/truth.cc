#include "channel_simulator/truth.h"

#include <algorithm>

namespace holdfast::channel_simulator {

// A full room gives the place of one who is away to a newcomer; who comes back as another (its info
// changed) is new.
void Truth::subscribe(int link, std::string_view channel,
                      const std::optional<pusher::Identity>& who) {
  if (is_on(link, channel)) return;
  Room& room = rooms_[std::string(channel)];
  if (who) {
    auto found = room.members.find(who->id);
    const bool is_away = found != room.members.end() && found->second.links.empty();
    if (is_away && found->second.info == who->info) ++returns;
    if (is_away && found->second.info != who->info) {
      room.members.erase(found);
      ++removals;
      found = room.members.end();
    }
    if (found == room.members.end()) {
      if (room.members.size() >= members_max_) {
        const auto away = std::find_if(room.members.begin(), room.members.end(),
                                       [](const auto& one) { return one.second.links.empty(); });
        if (away == room.members.end()) {
          ++refusals;
          return forget_if_empty(channel);
        }
        room.members.erase(away);
        ++removals;
      }
      found = room.members.emplace(who->id, Member{who->info}).first;
    }
    found->second.links.insert(link);
  }
  room.links.insert(link);
}

void Truth::unsubscribe(int link, std::string_view channel, Instant now) {
  const auto found = rooms_.find(channel);
  if (found == rooms_.end()) return;
  Room& room = found->second;
  room.links.erase(link);
  for (auto& [user, member] : room.members) {
    if (member.links.erase(link) > 0 && member.links.empty()) member.absent_until = now + kAbsence;
  }
  forget_if_empty(channel);
}

void Truth::leave(int link, Instant now) {
  std::vector<std::string> channels;
  for (const auto& [channel, room] : rooms_) channels.push_back(channel);
  for (const std::string& channel : channels) unsubscribe(link, channel, now);
  signed_in_.erase(link);
}

void Truth::settle(Instant now) {
  for (auto at = rooms_.begin(); at != rooms_.end();) {
    Room& room = at->second;
    removals += std::erase_if(room.members, [now](const auto& one) {
      return one.second.links.empty() && one.second.absent_until <= now;
    });
    at = room.links.empty() && room.members.empty() ? rooms_.erase(at) : std::next(at);
  }
}

void Truth::forget_if_empty(std::string_view channel) {
  const auto found = rooms_.find(channel);
  if (found->second.links.empty() && found->second.members.empty()) rooms_.erase(found);
}

bool Truth::is_on(int link, std::string_view channel) const {
  const auto found = rooms_.find(channel);
  return found != rooms_.end() && found->second.links.contains(link);
}

std::optional<pusher::Identity> Truth::signed_in(int link) const {
  const auto found = signed_in_.find(link);
  return found == signed_in_.end() ? std::nullopt : std::optional(found->second);
}

bool Truth::is_online(std::string_view user) const {
  return std::any_of(signed_in_.begin(), signed_in_.end(),
                     [user](const auto& one) { return one.second.id == user; });
}

std::map<std::string, std::string> Truth::members(std::string_view channel) const {
  std::map<std::string, std::string> all;
  const auto found = rooms_.find(channel);
  if (found == rooms_.end()) return all;
  for (const auto& [user, member] : found->second.members) all.emplace(user, member.info);
  return all;
}

std::size_t Truth::subscriptions(std::string_view channel) const {
  const auto found = rooms_.find(channel);
  return found == rooms_.end() ? 0 : found->second.links.size();
}

}  // namespace holdfast::channel_simulator
