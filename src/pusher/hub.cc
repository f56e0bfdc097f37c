#include "pusher/hub.h"

#include <fmt/format.h>

#include <charconv>

#include "pusher/channel_name.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

constexpr unsigned kDescriptorBits = 32;
// Above so many subscribers their number is told every so many ticks alone: telling each of n that
// another came would be n² messages.
constexpr std::uint64_t kCountAtOnceMax = 100;
constexpr std::uint32_t kCountTicks = 5;

std::string count_message(std::string_view channel, std::uint64_t subscriptions) {
  return channel_message("pusher_internal:subscription_count", channel,
                         fmt::format(R"({{"subscription_count":{}}})", subscriptions));
}

std::string user_channel(std::string_view user) {
  return std::string(kUserChannelPrefix) + std::string(user);
}

}  // namespace

Hub::Hub(std::shared_ptr<AppTable> apps, Publisher& publisher, Disconnect disconnect, Clocks clocks)
    : apps_(nullptr),
      publisher_(publisher),
      disconnect_(std::move(disconnect)),
      clocks_(std::move(clocks)),
      book_([this](const ChannelBook::Channel& channel, std::string_view user) {
        tell_gone(channel, user);
      }) {
  replace_apps(std::move(apps));
}

void Hub::replace_apps(std::shared_ptr<AppTable> apps) {
  const auto before = apps_.now();
  std::vector<AppState*> changed;
  {
    const std::lock_guard lock(mutex_);
    for (App& app : apps->all()) {
      auto& state = states_[app.id];
      if (state == nullptr) state = std::make_unique<AppState>(clocks_.seed);
      app.state = state.get();
      const App* old = before == nullptr ? nullptr : before->by_id(app.id);
      if (old == nullptr || old->history != app.history) changed.push_back(app.state);
    }
  }
  apps_.replace(std::move(apps));
  // Under other rules some events were not counted, or will not be. (One that is being published at
  // this very moment, under the rules of before, may still be missed by whoever is away just now.)
  for (AppState* state : changed) state->history.forget_all();
}

std::string Hub::topic_of(std::string_view app_id, std::string_view channel) {
  std::string topic;
  topic.reserve(app_id.size() + channel.size() + 2);
  topic += '\x01';
  topic += app_id;
  topic += '\x01';
  topic += channel;
  return topic;
}

std::string Hub::watch_topic_of(std::string_view app_id, std::string_view user) {
  return "\x02" + std::string(app_id) + "\x01" + std::string(user);
}

std::string Hub::topic_text(std::string_view topic) {
  const bool is_channel = topic.starts_with('\x01');
  const std::size_t second = topic.find('\x01', 1);
  if ((!is_channel && !topic.starts_with('\x02')) || second == std::string_view::npos)
    return std::string(topic);
  return fmt::format("{}{} (app {})", is_channel ? "" : "watchers of ", topic.substr(second + 1),
                     topic.substr(1, second - 1));
}

bool Hub::publish_event(const App& app, std::string_view channel, std::string message,
                        PeerId except) {
  const HistoryRule* rule = app.history_of(channel);
  if (rule == nullptr) return publish_kept(app, channel, message, except);
  bool all = true;
  app.state->history.append(channel, *rule, app.history_bytes_max, std::move(message), now(),
                            [&](const std::string& counted, const Place& place) {
                              all = publish_kept(app, channel, counted, except, place_text(place));
                            });
  return all;
}

// A cache channel keeps it as its last.
bool Hub::publish_kept(const App& app, std::string_view channel, const std::string& message,
                       PeerId except, std::string_view event_id) {
  if (!classify(channel).is_cache) return publish(app.id, channel, message, except, event_id);
  bool all = true;
  book_.remember(app.id, channel, message, now() + app.cache_ttl,
                 [&] { all = publish(app.id, channel, message, except, event_id); });
  return all;
}

void Hub::tell_count(const App& app, std::string_view channel, std::uint64_t subscriptions) {
  if (subscriptions <= kCountAtOnceMax) {
    if (subscriptions > 0) publish(app.id, channel, count_message(channel, subscriptions));
    announce(app, WebhookEvent::kSubscriptionCount, channel,
             fmt::format(R"(,"subscription_count":{})", subscriptions));
    return;
  }
  const std::lock_guard lock(mutex_);
  counts_due_.emplace(app.id, channel);
}

void Hub::announce(const App& app, WebhookEvent kind, std::string_view channel,
                   std::string_view fields) {
  if (webhooks_ == nullptr || app.webhooks.empty()) return;
  const std::string_view name = kWebhookEventNames[static_cast<std::size_t>(kind)];
  std::string json =
      fmt::format(R"({{"name":"{}","channel":{}{}}})", name, json_string(channel), fields);
  webhooks_->note(app, {kind, channel, std::move(json)}, now());
}

// Under the book's lock.
void Hub::tell_gone(const ChannelBook::Channel& channel, std::string_view user) {
  const std::string_view app_id = channel.app(), name = channel.name();
  publish(app_id, name, member_removed(name, user));
  {
    const std::lock_guard lock(mutex_);
    states_.find(app_id)->second->members.fetch_sub(1, std::memory_order_relaxed);
  }
  const auto apps = apps_.now();
  if (const App* app = apps->by_id(app_id)) {
    announce(*app, WebhookEvent::kMemberRemoved, name,
             fmt::format(R"(,"user_id":{})", json_string(user)));
  }
}

ChannelBook::Membership Hub::sign_in(std::string_view app_id, std::string_view user, PeerId peer) {
  const auto joined =
      book_.join(app_id, user_channel(user), std::nullopt, 0, [&](const ChannelBook::Joined& now) {
        if (now.subscriptions > 1) return;
        publisher_.publish(watch_topic_of(app_id, user),
                           watchlist_events(true, {std::string(user)}));
      });
  const std::lock_guard lock(mutex_);
  users_[{std::string(app_id), std::string(user)}].push_back(peer);
  return joined.place;
}

void Hub::sign_out(const ChannelBook::Membership& membership, std::string_view user, PeerId peer) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find({std::string(membership.channel->app()), std::string(user)});
    if (found != users_.end()) {
      std::erase(found->second, peer);
      if (found->second.empty()) users_.erase(found);
    }
  }
  book_.leave(membership, now(), [&](const ChannelBook::Left& left) {
    if (left.subscriptions > 0) return;
    publisher_.publish(watch_topic_of(membership.channel->app(), user),
                       watchlist_events(false, {std::string(user)}));
  });
}

// Comings and goings are published under the book's lock, so this is one point in their order.
// Those from before it must not be heard: one that lies in the worker's mailbox may be older than
// another that never came there, since nobody there wanted it.
bool Hub::watch(Peer& peer, std::string_view app_id, std::string_view user) {
  bool is_sent = false;
  const std::string topic = watch_topic_of(app_id, user);
  book_.look(app_id, user_channel(user), [&](const ChannelBook::Figures& figures) {
    const bool is_online = figures.subscriptions > 0;
    is_sent = peer.at_this_point_of(topic, [topic, is_online, name = std::string(user)](Peer& one) {
      one.subscribe(topic);
      if (is_online) one.send(watchlist_events(true, {name}));
    });
  });
  return is_sent;
}

std::size_t Hub::signed_in_users() {
  const std::lock_guard lock(mutex_);
  return users_.size();
}

void Hub::disconnect_user(std::string_view app_id, std::string_view user) {
  std::vector<PeerId> peers;
  {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find({std::string(app_id), std::string(user)});
    if (found != users_.end()) peers = found->second;
  }
  for (const PeerId peer : peers) disconnect_(peer, 4009, "the app ended this connection");
}

void Hub::tick() {
  book_.settle(now());
  if (++ticks_ % kCountTicks != 0) return;
  book_.expire(now());
  expire_histories();
  std::set<Spot> due;
  {
    const std::lock_guard lock(mutex_);
    due.swap(counts_due_);
  }
  const auto apps = apps_.now();
  for (const auto& [app_id, name] : due) {
    const std::string &id = app_id, &channel = name;
    book_.look(id, channel, [&](const ChannelBook::Figures& figures) {
      if (figures.subscriptions == 0) return;
      publish(id, channel, count_message(channel, figures.subscriptions));
      const App* app = apps->by_id(id);
      if (app == nullptr) return;
      announce(*app, WebhookEvent::kSubscriptionCount, channel,
               fmt::format(R"(,"subscription_count":{})", figures.subscriptions));
    });
  }
}

void Hub::expire_histories() {
  std::vector<std::pair<std::string, AppState*>> apps;  // which are never given up
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, state] : states_) apps.emplace_back(id, state.get());
  }
  for (const auto& [id, state] : apps) {
    state->history.expire(now(), [&, &app_id = id](std::string_view channel) {
      return book_.figures(app_id, channel).has_value();
    });
  }
}

std::string socket_id_of(PeerId peer) {
  const std::uint64_t place = std::uint64_t{peer.worker} << kDescriptorBits | peer.descriptor;
  return fmt::format("{}.{}", place, peer.serial);
}

PeerId peer_of(std::string_view socket_id) {
  std::uint64_t place = 0;
  std::uint32_t serial = 0;
  const char* const end = socket_id.data() + socket_id.size();
  const auto first = std::from_chars(socket_id.data(), end, place);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return {};
  const auto second = std::from_chars(first.ptr + 1, end, serial);
  if (second.ec != std::errc() || second.ptr != end) return {};
  return {static_cast<std::uint32_t>(place >> kDescriptorBits), static_cast<std::uint32_t>(place),
          serial};
}

}  // namespace holdfast::pusher
