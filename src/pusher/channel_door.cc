#include "pusher/channel_door.h"

#include <fmt/format.h>

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
  const HistoryRule* rule = app.history_of(channel);
  const auto arrival = begin_arrival(app, admission);
  // On the topic first: no event from now on may be missed.
  const std::string topic = Hub::topic_of(app.id, channel);
  if (arrival == nullptr) peer.subscribe(topic);
  ChannelBook::Joined joined;
  bool is_sent = false;
  const auto enter_book = [&] { joined = join(peer, app, admission, arrival, is_sent); };
  if (rule != nullptr) {
    arrival->missed =
        app.state->history.recover(channel, *rule, app.history_bytes_max,
                                   admission.recover.value_or(Place{}), hub_->now(), enter_book);
  } else {
    enter_book();
  }
  if (joined.place.channel == nullptr) {
    if (arrival == nullptr) peer.unsubscribe(topic);
    return peer.send(subscription_error(
        channel, "LimitReached",
        fmt::format("a presence channel may have {} members", app.presence_members_max), 403));
  }
  client.add(joined.place);
  if (arrival == nullptr) {
    const auto recovered = admission.recover ? std::optional(false) : std::nullopt;
    return peer.send(channel_message("pusher_internal:subscription_succeeded", channel,
                                     succeeded_data({}, recovered, {})));
  }
  if (!is_sent) return peer.close(4100, "too busy: come back in a second");
  client.begin_arrival(arrival);
}

// Null where a newcomer is told nothing that events could overtake.
std::shared_ptr<Arrival> ChannelDoor::begin_arrival(const App& app,
                                                    const Admission& admission) const {
  const std::string& channel = admission.channel;
  if (!admission.identity && !admission.kind.is_cache && app.history_of(channel) == nullptr)
    return nullptr;
  return std::make_shared<Arrival>(
      Arrival{channel, Hub::topic_of(app.id, channel), admission.recover});
}

// The letter goes first of all that is said under the lock, so that the newcomer hears its count.
ChannelBook::Joined ChannelDoor::join(Peer& peer, const App& app, const Admission& admission,
                                      const std::shared_ptr<Arrival>& arrival, bool& is_sent) {
  const std::string& channel = admission.channel;
  const auto& identity = admission.identity;
  std::optional<ChannelBook::Member> member;
  if (identity) member = ChannelBook::Member{identity->id, identity->info};
  return hub_->book().join(
      app.id, channel, member, app.presence_members_max, [&](const ChannelBook::Joined& now) {
        if (arrival != nullptr) {
          arrival->presence = now.presence;
          if (admission.kind.is_cache)
            arrival->newest = hub_->book().last_event_within(now.place, hub_->now());
          is_sent = peer.at_this_point_of(arrival->topic,
                                          [this, arrival](Peer& one) { arrive(one, arrival); });
        }
        note_join(*app.state, admission.kind, now);
        if (now.subscriptions == 1) hub_->announce(app, WebhookEvent::kChannelOccupied, channel);
        if (app.subscription_counts && !identity) hub_->tell_count(app, channel, now.subscriptions);
        if (!now.is_new_member) return;
        hub_->publish(app.id, channel, member_added(channel, identity->id, identity->info),
                      peer.id());
        hub_->announce(app, WebhookEvent::kMemberAdded, channel,
                       fmt::format(R"(,"user_id":{})", json_string(identity->id)));
      });
}

// Its worker has delivered what was published before the letter.
void ChannelDoor::arrive(Peer& peer, const std::shared_ptr<Arrival>& arrival) {
  Client* client = peer.find_data<Client>();
  if (client == nullptr || !client->finish_arrival(arrival.get())) return;
  const auto apps = hub_->apps();
  const App* app = apps->by_state(client->app());
  if (app == nullptr) return peer.close(4001, "the app was removed");
  finish_arrival(peer, *hub_, *app, *arrival);
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
  hub_->book().leave(membership, hub_->now(), [&](const ChannelBook::Left& now) {
    note_leave(state, classify(channel), now);
    if (app == nullptr) return;
    if (app->subscription_counts && !is_presence)
      hub_->tell_count(*app, channel, now.subscriptions);
    if (now.subscriptions == 0) hub_->announce(*app, WebhookEvent::kChannelVacated, channel);
  });
}

}  // namespace holdfast::pusher
