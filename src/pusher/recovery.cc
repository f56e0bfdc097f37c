#include "pusher/recovery.h"

#include <fmt/format.h>

#include "pusher/channel_name.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {

std::shared_ptr<Recovery> begin_recovery(
    Peer& peer, Hub& hub, const App& app, const HistoryRule& rule, std::string_view channel,
    const Place& from, std::function<void(Peer&, const std::shared_ptr<Recovery>&)> arrive) {
  auto recovery = std::make_shared<Recovery>(
      Recovery{std::string(channel), Hub::topic_of(app.id, channel), from});
  bool is_sent = false;
  recovery->missed =
      app.state->history.recover(channel, rule, app.history_bytes_max, from, hub.now(), [&] {
        if (classify(channel).is_cache) {
          const auto last = hub.book().last_event(app.id, channel, hub.now());
          if (last) recovery->newest = last->message;
        }
        is_sent = peer.at_this_point_of(recovery->topic, [recovery, arrive = std::move(arrive)](
                                                             Peer& one) { arrive(one, recovery); });
      });
  return is_sent ? recovery : nullptr;
}

// More than its queue may hold would end the client as a slow reader, and it would come back for
// the same again.
void finish_recovery(Peer& peer, Hub& hub, const App& app, const Recovery& recovery) {
  const History::Missed& missed = recovery.missed;
  const bool is_told =
      missed.is_whole && peer.queued_bytes() + missed.bytes <= hub.recovery_bytes_max();
  Place place = is_told ? recovery.from : missed.place;
  peer.subscribe(recovery.topic);
  peer.send(channel_message("pusher_internal:subscription_succeeded", recovery.channel,
                            succeeded_data(recovery.presence, is_told, place)),
            place_text(place));
  if (is_told) {
    for (const SharedBytes& event : missed.events) {
      ++place.serial;
      peer.send(as_text(event.bytes()), place_text(place));
    }
    app.state->recoveries.fetch_add(1, std::memory_order_relaxed);
    app.state->recovered_events.fetch_add(missed.events.size(), std::memory_order_relaxed);
  } else {
    app.state->recoveries_failed.fetch_add(1, std::memory_order_relaxed);
    if (classify(recovery.channel).is_cache)
      tell_newest(peer, hub, app, recovery.channel, recovery.newest);
  }
}

void tell_newest(Peer& peer, Hub& hub, const App& app, std::string_view channel,
                 std::string_view newest) {
  if (!newest.empty()) return peer.send(newest);
  peer.send(cache_miss(channel));
  hub.announce(app, WebhookEvent::kCacheMiss, channel);
}

std::string succeeded_data(std::string_view presence, std::optional<bool> recovered,
                           const Place& place) {
  std::string data(presence.empty() ? "{}" : presence);
  const auto add = [&data](std::string_view field) {
    data.pop_back();
    if (data.size() > 1) data += ',';
    data += field;
    data += '}';
  };
  if (recovered) add(*recovered ? R"("recovered":true)" : R"("recovered":false)");
  if (place.epoch != 0) {
    add(fmt::format(R"("serial":{},"epoch":"{}")", place.serial, epoch_text(place.epoch)));
  }
  return data;
}

}  // namespace holdfast::pusher
