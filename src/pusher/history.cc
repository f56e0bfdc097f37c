#include "pusher/history.h"

#include <fmt/format.h>

#include <charconv>

#include "base/check.h"

namespace holdfast::pusher {
namespace {

constexpr int kHexadecimal = 16;
// Under one lock in a row, of those that are due.
constexpr int kExpiredAtOnce = 256;

// One-to-one, and without a pattern (splitmix64).
std::uint64_t scattered(std::uint64_t number) {
  number += 0x9E3779B97F4A7C15u;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9u;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EBu;
  return number ^ (number >> 31);
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::uint64_t cost_of(const SharedBytes& text) { return text.size() + History::kEventBytes; }

std::uint64_t cost_of(std::string_view channel) { return channel.size() + History::kChannelBytes; }

void write_place(std::string& message, const Place& place) {
  CHECK(message.ends_with('}'));
  message.pop_back();
  message += fmt::format(R"(,"serial":{},"epoch":"{}"}})", place.serial, epoch_text(place.epoch));
}

}  // namespace

std::string epoch_text(std::uint64_t epoch) { return fmt::format("{:x}", epoch); }

std::uint64_t parse_epoch(std::string_view text) {
  return parse_number(text, kHexadecimal).value_or(0);
}

std::string place_text(const Place& place) {
  return fmt::format("{:x}:{}", place.epoch, place.serial);
}

std::optional<Place> parse_place(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto epoch = parse_number(text.substr(0, colon), kHexadecimal);
  const auto serial = parse_number(text.substr(colon + 1), 10);
  if (!epoch || !serial) return std::nullopt;
  return Place{*epoch, *serial};
}

void History::append(
    std::string_view name, const HistoryRule& rule, std::uint64_t bytes_max, std::string message,
    Instant now,
    const std::function<void(const std::string& message, const Place& place)>& publish) {
  Shard& shard = shard_of(name);
  const std::lock_guard lock(shard.mutex);
  Channel& channel = touch(shard, name, rule, now);
  const Place place{channel.epoch, ++channel.serial};
  write_place(message, place);
  channel.kept.push_back({now, SharedBytes::copy_of(as_bytes(message))});
  events_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(cost_of(channel.kept.back().text), std::memory_order_relaxed);
  trim(channel, now);
  make_room(shard, bytes_max);
  if (publish) publish(message, place);
}

History::Missed History::recover(std::string_view name, const HistoryRule& rule,
                                 std::uint64_t bytes_max, const Place& from, Instant now,
                                 const std::function<void()>& mark) {
  Shard& shard = shard_of(name);
  const std::lock_guard lock(shard.mutex);
  Channel& channel = touch(shard, name, rule, now);
  trim(channel, now);
  Missed missed{.place = {channel.epoch, channel.serial}};
  missed.is_whole = from.epoch == channel.epoch && from.serial <= channel.serial &&
                    channel.serial - from.serial <= channel.count();
  if (missed.is_whole) {
    const std::size_t count = channel.serial - from.serial;
    for (std::size_t i = channel.kept.size() - count; i < channel.kept.size(); ++i) {
      missed.bytes += channel.kept[i].text.size();
      missed.events.push_back(channel.kept[i].text);
    }
  }
  make_room(shard, bytes_max);
  if (mark) mark();
  return missed;
}

void History::forget_all() {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    while (!shard.channels.empty()) erase(shard, shard.channels.begin());
    shard.due.clear();
  }
}

void History::expire(Instant now, const std::function<bool(std::string_view)>& is_occupied) {
  for (Shard& shard : shards_) {
    for (bool more = true; more;) {
      const std::lock_guard lock(shard.mutex);
      for (int left = kExpiredAtOnce; left > 0; --left) {
        more = !shard.due.empty() && shard.due.begin()->first <= now;
        if (!more) break;
        const auto found = shard.due.begin()->second;
        shard.due.erase(shard.due.begin());
        Channel& channel = found->second;
        trim(channel, now);
        if (channel.due() <= now && is_occupied(found->first)) channel.touched = now;
        if (channel.due() <= now) {
          erase(shard, found);
        } else {
          shard.due.emplace(channel.due(), found);
        }
      }
    }
  }
}

History::Figures History::figures() const {
  return {channels_.load(std::memory_order_relaxed), events_.load(std::memory_order_relaxed),
          bytes_.load(std::memory_order_relaxed), evicted_.load(std::memory_order_relaxed)};
}

// The channel's entry, made where there is none.
History::Channel& History::touch(Shard& shard, std::string_view name, const HistoryRule& rule,
                                 Instant now) {
  auto found = shard.channels.find(name);
  const bool is_new = found == shard.channels.end();
  if (is_new) {
    found = shard.channels.emplace(std::string(name), Channel{}).first;
    do {
      found->second.epoch = scattered(seed_ + epochs_.fetch_add(1, std::memory_order_relaxed));
    } while (found->second.epoch == 0);
    channels_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(cost_of(found->first), std::memory_order_relaxed);
  }
  Channel& channel = found->second;
  channel.touched = now;
  channel.age = rule.age;
  channel.events_max = rule.events;
  if (is_new) shard.due.emplace(channel.due(), found);
  return channel;
}

void History::trim(Channel& channel, Instant now) {
  while (channel.count() > channel.events_max ||
         (channel.count() > 0 && channel.kept[channel.first].at + channel.age <= now)) {
    drop_oldest(channel);
  }
}

void History::drop_oldest(Channel& channel) {
  Kept& oldest = channel.kept[channel.first++];
  events_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(cost_of(oldest.text), std::memory_order_relaxed);
  oldest.text = {};
  // Moved together when half of it is empty: a constant amount of work for each event.
  if (channel.first < channel.kept.size() - channel.first) return;
  channel.kept.erase(channel.kept.begin(),
                     channel.kept.begin() + static_cast<std::ptrdiff_t>(channel.first));
  channel.first = 0;
  if (channel.kept.empty()) channel.kept.shrink_to_fit();
}

// What would be over first goes first. Of this shard alone: others' locks are theirs.
void History::make_room(Shard& shard, std::uint64_t bytes_max) {
  while (bytes_.load(std::memory_order_relaxed) > bytes_max && !shard.due.empty()) {
    const auto [due, found] = *shard.due.begin();
    Channel& channel = found->second;
    if (channel.due() <= due && channel.count() == 0) {
      shard.due.erase(shard.due.begin());
      erase(shard, found);
      continue;
    }
    if (channel.due() <= due) {
      drop_oldest(channel);
      evicted_.fetch_add(1, std::memory_order_relaxed);
    }
    // It was there too early, or is now.
    shard.due.erase(shard.due.begin());
    shard.due.emplace(channel.due(), found);
  }
}

// Its entry in `due` is the caller's business.
void History::erase(Shard& shard, Channels::iterator found) {
  while (found->second.count() > 0) drop_oldest(found->second);
  bytes_.fetch_sub(cost_of(found->first), std::memory_order_relaxed);
  channels_.fetch_sub(1, std::memory_order_relaxed);
  shard.channels.erase(found);
}

}  // namespace holdfast::pusher
