#include "pusher/arrival.h"

#include <fmt/format.h>

#include "pusher/channel_name.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

// More than its queue may hold would end the client as a slow reader, and it would come back for
// the same again.
bool may_be_told(Peer& peer, const Hub& hub, const Arrival& arrival) {
  return arrival.from && arrival.missed && arrival.missed->is_whole &&
         peer.queued_bytes() + arrival.missed->bytes <= hub.recovery_bytes_max();
}

void tell_missed(Peer& peer, const App& app, const History::Missed& missed, Place place) {
  for (const SharedBytes& event : missed.events) {
    ++place.serial;
    peer.send(as_text(event.bytes()), place_text(place));
  }
  app.state->recoveries.fetch_add(1, std::memory_order_relaxed);
  app.state->recovered_events.fetch_add(missed.events.size(), std::memory_order_relaxed);
}

// Of a cache channel: its last event, or that there is none.
void tell_newest(Peer& peer, Hub& hub, const App& app, const Arrival& arrival) {
  if (!arrival.newest.empty()) return peer.send(arrival.newest);
  peer.send(cache_miss(arrival.channel));
  hub.announce(app, WebhookEvent::kCacheMiss, arrival.channel);
}

}  // namespace

void finish_arrival(Peer& peer, Hub& hub, const App& app, const Arrival& arrival) {
  const bool is_told = may_be_told(peer, hub, arrival);
  Place place;
  if (arrival.missed) place = is_told ? *arrival.from : arrival.missed->place;
  peer.subscribe(arrival.topic);
  const auto recovered = arrival.from ? std::optional(is_told) : std::nullopt;
  peer.send(channel_message("pusher_internal:subscription_succeeded", arrival.channel,
                            succeeded_data(arrival.presence, recovered, place)),
            place.epoch == 0 ? std::string() : place_text(place));
  if (is_told) return tell_missed(peer, app, *arrival.missed, place);
  if (arrival.from && arrival.missed)
    app.state->recoveries_failed.fetch_add(1, std::memory_order_relaxed);
  if (classify(arrival.channel).is_cache) tell_newest(peer, hub, app, arrival);
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
