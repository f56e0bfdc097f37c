#include "pusher/channel_door.h"

#include <fmt/format.h>

#include "pusher/recovery.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

void note_join(AppState& state, const ChannelName& kind, const ChannelBook::Joined& now) {
  const auto number = static_cast<std::size_t>(kind.access);
  state.subscriptions[number].fetch_add(1, std::memory_order_relaxed);
  if (now.subscriptions == 1) state.channels[number].fetch_add(1, std::memory_order_relaxed);
  if (now.is_new_member) state.members.fetch_add(1, std::memory_order_relaxed);
}

void note_leave(AppState& state, const ChannelName& kind, const ChannelBook::Left& now) {
  const auto number = static_cast<std::size_t>(kind.access);
  state.subscriptions[number].fetch_sub(1, std::memory_order_relaxed);
  if (now.subscriptions == 0) state.channels[number].fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

void ChannelDoor::enter(Peer& peer, Client& client, const App& app, const Admission& admission) {
  const std::string& channel = admission.channel;
  const auto& identity = admission.identity;
  std::optional<ChannelBook::Member> member;
  if (identity) member = ChannelBook::Member{identity->id, identity->info};
  // On the topic first: no change of the book's from now on may be missed (channel_book.h).
  const std::string topic = Hub::topic_of(app.id, channel);
  const HistoryRule* rule = app.history_of(channel);
  std::shared_ptr<Recovery> recovery;
  if (rule != nullptr && admission.recover) {
    recovery = begin_recovery(
        peer, *hub_, app, *rule, channel, *admission.recover,
        [this](Peer& one, const std::shared_ptr<Recovery>& mine) { arrive(one, mine); });
    if (recovery == nullptr) return peer.close(4100, "too busy: come back in a second");
  } else {
    peer.subscribe(topic);
  }
  const auto joined = hub_->book().join(
      app.id, channel, member, app.presence_members_max, [&](const ChannelBook::Joined& now) {
        note_join(*app.state, admission.kind, now);
        if (now.subscriptions == 1) hub_->announce(app, WebhookEvent::kChannelOccupied, channel);
        if (!now.is_new_member) return;
        hub_->publish(app.id, channel, member_added(channel, identity->id, identity->info),
                      peer.id());
        hub_->announce(app, WebhookEvent::kMemberAdded, channel,
                       fmt::format(R"(,"user_id":{})", json_string(identity->id)));
      });
  if (joined.place.channel == nullptr) {
    peer.unsubscribe(topic);
    return peer.send(subscription_error(
        channel, "LimitReached",
        fmt::format("a presence channel may have {} members", app.presence_members_max), 403));
  }
  client.add(joined.place);
  if (recovery != nullptr) {
    recovery->presence = joined.presence;
    client.begin_recovery(std::move(recovery));
  } else {
    welcome(peer, app, admission, joined.presence);
  }
  if (app.subscription_counts && !identity) hub_->tell_count(app, channel, joined.subscriptions);
}

void ChannelDoor::welcome(Peer& peer, const App& app, const Admission& admission,
                          std::string_view presence) {
  const std::string& channel = admission.channel;
  Place place;
  if (const HistoryRule* rule = app.history_of(channel)) {
    place = app.state->history.place_of(channel, *rule, app.history_bytes_max, hub_->now());
  }
  const auto recovered = admission.recover ? std::optional(false) : std::nullopt;
  peer.send(channel_message("pusher_internal:subscription_succeeded", channel,
                            succeeded_data(presence, recovered, place)),
            place.epoch == 0 ? std::string() : place_text(place));
  if (!admission.kind.is_cache) return;
  const auto last = hub_->book().last_event(app.id, channel, hub_->now());
  tell_newest(peer, *hub_, app, channel, last ? last->message : "");
}

// Its worker has delivered what was published before the recovery began.
void ChannelDoor::arrive(Peer& peer, const std::shared_ptr<Recovery>& recovery) {
  Client* client = peer.find_data<Client>();
  if (client == nullptr || !client->finish_recovery(recovery.get())) return;
  const auto apps = hub_->apps();
  const App* app = apps->by_state(client->app());
  if (app == nullptr) return peer.close(4001, "the app was removed");
  finish_recovery(peer, *hub_, *app, *recovery);
}

void ChannelDoor::leave_all(Client& client) {
  if (client.app() == nullptr) return;
  const auto apps = hub_->apps();
  const App* app = apps->by_state(client.app());
  for (const Client::Membership& membership : client.remove_all())
    leave(app, *client.app(), membership);
}

void ChannelDoor::leave(const App* app, AppState& state, const Client::Membership& membership) {
  const std::string channel(membership.channel->name());
  const bool is_presence = membership.member != nullptr;
  const auto left = hub_->book().leave(membership, hub_->now(), [&](const ChannelBook::Left& now) {
    note_leave(state, classify(channel), now);
    if (app == nullptr || now.subscriptions > 0) return;
    hub_->announce(*app, WebhookEvent::kChannelVacated, channel);
  });
  if (app != nullptr && app->subscription_counts && !is_presence) {
    hub_->tell_count(*app, channel, left.subscriptions);
  }
}

}  // namespace holdfast::pusher
