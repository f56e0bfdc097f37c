#include "pusher/channel_book.h"

#include <algorithm>

#include "base/check.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

std::string key_of(std::string_view app, std::string_view channel) {
  std::string key;
  key.reserve(app.size() + 1 + channel.size());
  key += app;
  key += '\0';
  key += channel;
  return key;
}

ChannelBook::Figures figures_of(const ChannelBook::Channel& channel) {
  return {channel.subscriptions, channel.members == nullptr ? 0 : channel.members->size()};
}

std::string presence_of(const ChannelBook::Members& members) {
  std::string ids, hash;
  for (const auto& [id, one] : members) {
    const std::string name = json_string(id);
    ids += (ids.empty() ? "" : ",") + name;
    hash += (hash.empty() ? "" : ",") + name + ":" + one.info;
  }
  return "{\"presence\":{\"ids\":[" + ids + "],\"hash\":{" + hash +
         "},\"count\":" + std::to_string(members.size()) + "}}";
}

}  // namespace

ChannelBook::Joined ChannelBook::join(std::string_view app, std::string_view channel,
                                      const std::optional<Member>& member,
                                      std::uint32_t members_max,
                                      const std::function<void(const Joined&)>& tell) {
  std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  Joined joined;
  const std::lock_guard lock(shard.mutex);
  const auto [found, is_first] = shard.channels.try_emplace(std::move(key));
  Channel& place = found->second;
  if (is_first) {
    place.key = &found->first;
    place.app_bytes = static_cast<std::uint32_t>(app.size());
  }
  if (member) {
    if (place.members == nullptr) place.members = std::make_unique<Members>();
    auto present = place.members->find(member->id);
    joined.is_new_member = present == place.members->end();
    if (joined.is_new_member) {
      if (place.members->size() >= members_max) {
        if (is_first) shard.channels.erase(found);
        return joined;
      }
      present =
          place.members->emplace(std::string(member->id), Present{std::string(member->info), 0})
              .first;
    }
    ++present->second.connections;
    joined.place.member = &*present;
    joined.users = place.members->size();
    joined.presence = presence_of(*place.members);
  }
  joined.place.channel = &place;
  joined.subscriptions = ++place.subscriptions;
  if (tell) tell(joined);
  return joined;
}

ChannelBook::Left ChannelBook::leave(const Membership& membership,
                                     const std::function<void(const Left&)>& tell) {
  CHECK(membership.channel != nullptr);
  Channel& place = *membership.channel;
  Shard& shard = shard_of(*place.key);
  Left left;
  const std::lock_guard lock(shard.mutex);
  CHECK(place.subscriptions > 0);
  left.subscriptions = --place.subscriptions;
  auto present = place.members == nullptr ? Members::iterator() : place.members->end();
  if (membership.member != nullptr) {
    CHECK(place.members != nullptr);
    present = place.members->find(membership.member->first);
    CHECK(present != place.members->end());
    left.is_gone = --present->second.connections == 0;
  }
  if (tell) tell(left);
  if (left.is_gone) place.members->erase(present);
  if (left.subscriptions == 0) {
    const auto found = shard.channels.find(*place.key);
    CHECK(found != shard.channels.end());
    shard.channels.erase(found);
  }
  return left;
}

void ChannelBook::remember(std::string_view app, std::string_view channel, std::string message,
                           Instant until, const std::function<void()>& publish) {
  std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  shard.cache.insert_or_assign(std::move(key), Cached{std::move(message), until});
  if (publish) publish();
}

std::optional<ChannelBook::Cached> ChannelBook::last_event(std::string_view app,
                                                           std::string_view channel, Instant now) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.cache.find(key);
  if (found == shard.cache.end() || found->second.until <= now) return std::nullopt;
  return found->second;
}

void ChannelBook::expire(Instant now) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    std::erase_if(shard.cache, [now](const auto& entry) { return entry.second.until <= now; });
  }
}

std::optional<ChannelBook::Figures> ChannelBook::figures(std::string_view app,
                                                         std::string_view channel) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.channels.find(key);
  if (found == shard.channels.end()) return std::nullopt;
  return figures_of(found->second);
}

std::vector<std::pair<std::string, ChannelBook::Figures>> ChannelBook::channels(
    std::string_view app, std::string_view prefix) {
  const std::string first = key_of(app, prefix);
  std::vector<std::pair<std::string, Figures>> all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto at = shard.channels.lower_bound(first);
         at != shard.channels.end() && at->first.starts_with(first); ++at) {
      all.emplace_back(at->second.name(), figures_of(at->second));
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
