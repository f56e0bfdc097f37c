#include "pusher/channel_book.h"

#include <algorithm>

#include "base/check.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

std::string key_of(std::string_view app, std::string_view channel) {
  std::string key(app);
  key += '\0';
  key += channel;
  return key;
}

}  // namespace

ChannelBook::Joined ChannelBook::join(std::string_view app, std::string_view channel,
                                      const std::optional<Member>& member,
                                      std::uint32_t members_max, const Tell& tell) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  Joined joined;
  const std::lock_guard lock(shard.mutex);
  auto found = shard.channels.find(key);
  if (member) {
    const bool has_members = found != shard.channels.end() && found->second.members != nullptr;
    const bool is_there = has_members && found->second.members->contains(member->id);
    if (!is_there && has_members && found->second.members->size() >= members_max) {
      joined.refusal = Joined::Refusal::kTooManyMembers;
      return joined;
    }
  }
  if (found == shard.channels.end()) found = shard.channels.emplace(key, Channel()).first;
  Channel& place = found->second;
  joined.subscriptions = ++place.subscriptions;
  if (!member) return joined;
  if (place.members == nullptr) {
    place.members = std::make_unique<std::map<std::string, Present, std::less<>>>();
  }
  auto present = place.members->find(member->id);
  joined.is_new_member = present == place.members->end();
  if (joined.is_new_member) {
    present = place.members->emplace(std::string(member->id), Present{std::string(member->info), 0})
                  .first;
  }
  ++present->second.connections;
  std::string ids, hash;
  for (const auto& [id, one] : *place.members) {
    const std::string name = json_string(id);
    ids += (ids.empty() ? "" : ",") + name;
    hash += (hash.empty() ? "" : ",") + name + ":" + one.info;
  }
  joined.presence = "{\"presence\":{\"ids\":[" + ids + "],\"hash\":{" + hash +
                    "},\"count\":" + std::to_string(place.members->size()) + "}}";
  if (joined.is_new_member && tell) tell();
  return joined;
}

ChannelBook::Left ChannelBook::leave(std::string_view app, std::string_view channel,
                                     std::string_view user, const Tell& tell) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  Left left;
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.channels.find(key);
  CHECK(found != shard.channels.end() && found->second.subscriptions > 0);
  Channel& place = found->second;
  left.subscriptions = --place.subscriptions;
  if (!user.empty()) {
    CHECK(place.members != nullptr);
    const auto present = place.members->find(user);
    CHECK(present != place.members->end());
    if (--present->second.connections == 0) {
      place.members->erase(present);
      left.is_gone = true;
    }
  }
  if (left.subscriptions == 0) shard.channels.erase(found);
  if (left.is_gone && tell) tell();
  return left;
}

void ChannelBook::remember(std::string_view app, std::string_view channel, std::string message,
                           Instant until) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  shard.cache[key] = {std::move(message), until};
}

std::optional<ChannelBook::Cached> ChannelBook::last_event(std::string_view app,
                                                           std::string_view channel, Instant now) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.cache.find(key);
  if (found == shard.cache.end()) return std::nullopt;
  if (found->second.until > now) return found->second;
  shard.cache.erase(found);
  return std::nullopt;
}

std::optional<ChannelBook::Figures> ChannelBook::figures(std::string_view app,
                                                         std::string_view channel) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.channels.find(key);
  if (found == shard.channels.end()) return std::nullopt;
  const Channel& place = found->second;
  return Figures{place.subscriptions, place.members == nullptr ? 0 : place.members->size()};
}

std::vector<std::pair<std::string, ChannelBook::Figures>> ChannelBook::channels(
    std::string_view app, std::string_view prefix) {
  const std::string first = key_of(app, prefix);
  std::vector<std::pair<std::string, Figures>> all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto at = shard.channels.lower_bound(first);
         at != shard.channels.end() && at->first.starts_with(first); ++at) {
      const Channel& place = at->second;
      all.emplace_back(
          at->first.substr(app.size() + 1),
          Figures{place.subscriptions, place.members == nullptr ? 0 : place.members->size()});
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return all;
}

std::vector<std::string> ChannelBook::users(std::string_view app, std::string_view channel) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  std::vector<std::string> ids;
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.channels.find(key);
  if (found == shard.channels.end() || found->second.members == nullptr) return ids;
  for (const auto& [id, present] : *found->second.members) ids.push_back(id);
  return ids;
}

}  // namespace holdfast::pusher
