#pragma once

// A client on its way to a channel where what it is told first must fit what it hears then: who is
// there (presence), its last event (cache), the place in its stream and what was missed (history).
//
//   ChannelDoor::enter()                     finish_arrival()
//   under the locks of history and book:     on its worker, when that has delivered all that was
//   what it is to be told, and a letter      published before: the answer, and from then on it is
//   to its worker                            a subscriber like all others
//
// Whatever changes on the channel is published under the same locks. So the answer is the channel
// at the letter's point of the topic, and the client hears all changes behind that point, once
// each, and none before it. One that were subscribed at once would hear such changes too as lie in
// its worker's mailbox and are older than its answer: that its user has gone, although it is back.
//
// Between the two the client hears nothing of the channel.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/peer.h"
#include "pusher/history.h"
#include "pusher/hub.h"

namespace holdfast::pusher {

// Used by the client's worker.
struct Arrival {
  std::string channel;
  std::string topic;
  std::optional<Place> from = {};  // where it was, if it wants to hear what it missed
  // The channel as it was at the letter's point.
  std::optional<History::Missed> missed = {};  // channels with a history
  std::string presence = {};  // {"presence":{…}}: who is there; empty outside presence channels
  std::string newest = {};    // the last event of a cache channel; empty: there is none
};

// Tells the client that it is on the channel, what it missed, or that this is not known any more,
// and subscribes it.
void finish_arrival(Peer& peer, Hub& hub, const App& app, const Arrival& arrival);

// The data of a subscription_succeeded: `presence` (see above), and where the client stands.
// `recovered`: what came of its wish to be told what it missed; nothing: it had none. Without a
// place of its own the channel has no history.
std::string succeeded_data(std::string_view presence, std::optional<bool> recovered,
                           const Place& place);

}  // namespace holdfast::pusher
