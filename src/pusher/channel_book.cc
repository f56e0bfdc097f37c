#include "pusher/channel_book.h"

#include <algorithm>

#include "base/check.h"
#include "pusher/channel_name.h"
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

// Null, and nothing changed, where there is no room.
ChannelBook::Members::value_type* ChannelBook::enter(Shard& shard, Channel& place,
                                                     const Member& member,
                                                     std::uint32_t members_max, Joined& joined) {
  if (place.members == nullptr) place.members = std::make_unique<Members>();
  Members& members = *place.members;
  auto present = members.find(member.id);
  if (present != members.end() && present->second.connections == 0) {
    if (present->second.info == member.info) {
      shard.absences[present->second.absence - shard.first_absence].member = nullptr;
    } else {
      end_absence(shard, place, *present);
      present = members.end();
    }
  }
  joined.is_new_member = present == members.end();
  if (joined.is_new_member) {
    if (members.size() >= members_max) {
      const auto absent = std::find_if(members.begin(), members.end(),
                                       [](const auto& one) { return one.second.connections == 0; });
      if (absent == members.end()) return nullptr;
      end_absence(shard, place, *absent);
    }
    present =
        members.emplace(std::string(member.id), Present{std::string(member.info), 0, 0}).first;
  }
  ++present->second.connections;
  return &*present;
}

void ChannelBook::end_absence(Shard& shard, Channel& place, Members::value_type& member) {
  const std::uint32_t index = member.second.absence - shard.first_absence;
  CHECK(member.second.connections == 0 && index < shard.absences.size());
  shard.absences[index].member = nullptr;
  if (gone_) gone_(place, member.first);
  place.members->erase(place.members->find(member.first));
}

void ChannelBook::forget_if_empty(Shard& shard, Channel& place) {
  if (place.subscriptions > 0) return;
  if (place.members != nullptr && !place.members->empty()) return;
  const auto found = shard.channels.find(*place.key);
  CHECK(found != shard.channels.end());
  shard.channels.erase(found);
}

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
    joined.place.member = enter(shard, place, *member, members_max, joined);
    if (joined.place.member == nullptr) {
      forget_if_empty(shard, place);
      return joined;
    }
    joined.users = place.members->size();
    joined.presence = presence_of(*place.members);
  }
  joined.place.channel = &place;
  joined.subscriptions = ++place.subscriptions;
  if (tell) tell(joined);
  return joined;
}

ChannelBook::Left ChannelBook::leave(const Membership& membership, Instant now,
                                     const std::function<void(const Left&)>& tell) {
  CHECK(membership.channel != nullptr);
  Channel& place = *membership.channel;
  Shard& shard = shard_of(*place.key);
  Left left;
  const std::lock_guard lock(shard.mutex);
  CHECK(place.subscriptions > 0);
  left.subscriptions = --place.subscriptions;
  if (membership.member != nullptr) {
    CHECK(place.members != nullptr);
    const auto present = place.members->find(membership.member->first);
    CHECK(present != place.members->end() && present->second.connections > 0);
    left.is_absent = --present->second.connections == 0;
    if (left.is_absent) {
      present->second.absence =
          shard.first_absence + static_cast<std::uint32_t>(shard.absences.size());
      shard.absences.push_back({now + kAbsence, &place, &*present});
    }
  }
  if (tell) tell(left);
  forget_if_empty(shard, place);
  return left;
}

void ChannelBook::settle(Instant now) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (std::size_t n = 0; n < kSettledMax && !shard.absences.empty(); ++n) {
      const Absence absence = shard.absences.front();
      if (absence.member != nullptr) {
        if (absence.until > now) break;
        end_absence(shard, *absence.channel, *absence.member);
        forget_if_empty(shard, *absence.channel);
      }
      shard.absences.pop_front();
      ++shard.first_absence;
    }
  }
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

std::string ChannelBook::last_event_within(const Membership& place, Instant now) {
  const std::string& key = *place.channel->key;
  const Shard& shard = shard_of(key);
  const auto found = shard.cache.find(key);
  return found == shard.cache.end() || found->second.until <= now ? "" : found->second.message;
}

void ChannelBook::expire(Instant now) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    std::erase_if(shard.cache, [now](const auto& entry) { return entry.second.until <= now; });
  }
}

std::optional<ChannelBook::Figures> ChannelBook::figures(std::string_view app,
                                                         std::string_view channel) {
  Figures now;
  look(app, channel, [&now](const Figures& found) { now = found; });
  return now.subscriptions == 0 ? std::nullopt : std::optional(now);
}

void ChannelBook::look(std::string_view app, std::string_view channel,
                       const std::function<void(const Figures&)>& tell) {
  const std::string key = key_of(app, channel);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.channels.find(key);
  tell(found == shard.channels.end() ? Figures{} : figures_of(found->second));
}

std::vector<std::pair<std::string, ChannelBook::Figures>> ChannelBook::channels(
    std::string_view app, std::string_view prefix) {
  const std::string first = key_of(app, prefix);
  std::vector<std::pair<std::string, Figures>> all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto at = shard.channels.lower_bound(first);
         at != shard.channels.end() && at->first.starts_with(first); ++at) {
      if (at->second.subscriptions == 0) continue;
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
  if (found == shard.channels.end() || found->second.subscriptions == 0) return ids;
  if (found->second.members == nullptr) return ids;
  for (const auto& [id, present] : *found->second.members) ids.push_back(id);
  return ids;
}

std::vector<ChannelBook::Large> ChannelBook::largest(std::size_t most) {
  const auto is_larger = [](const Large& a, const Large& b) {
    return a.figures.subscriptions > b.figures.subscriptions;
  };
  std::vector<Large> found;  // a heap, the smallest on top
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, channel] : shard.channels) {
      if (channel.subscriptions == 0 || channel.name().starts_with(kUserChannelPrefix)) continue;
      const bool is_full = found.size() == most;
      if (is_full && (most == 0 || channel.subscriptions <= found.front().figures.subscriptions))
        continue;
      if (is_full) {
        std::pop_heap(found.begin(), found.end(), is_larger);
        found.pop_back();
      }
      found.push_back(
          {std::string(channel.app()), std::string(channel.name()), figures_of(channel)});
      std::push_heap(found.begin(), found.end(), is_larger);
    }
  }
  std::sort_heap(found.begin(), found.end(), is_larger);
  return found;
}

ChannelBook::Held ChannelBook::held() {
  Held all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    all.channels += shard.channels.size();
    all.absences += shard.absences.size();
    all.cached += shard.cache.size();
  }
  return all;
}

}  // namespace holdfast::pusher
