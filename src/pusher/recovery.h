#pragma once

// A client that comes back to a channel and says where in its stream it was (history.h).
//
//   begin_recovery()                       finish_recovery()
//   under the history's lock: what it      on its worker, when that has delivered all that was
//   missed, and a letter to its worker     published before: the answer, what it missed, and from
//                                          then on it is a subscriber like all others
//
// Between the two the client hears nothing of the channel.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/peer.h"
#include "pusher/history.h"
#include "pusher/hub.h"

namespace holdfast::pusher {

// Used by the client's worker.
struct Recovery {
  std::string channel;
  std::string topic;
  Place from;  // where it was
  History::Missed missed = {};
  std::string presence = {};  // {"presence":{…}}: who is there; empty outside presence channels
  std::string newest = {};    // the last event of a cache channel; empty: there is none
};

// Reads what the client missed and sends the letter; `arrive` is called on it. Null: the worker is
// too busy for that. The caller says who the client is (it may read the channel) and whether the
// recovery is still wanted by then.
std::shared_ptr<Recovery> begin_recovery(
    Peer& peer, Hub& hub, const App& app, const HistoryRule& rule, std::string_view channel,
    const Place& from, std::function<void(Peer&, const std::shared_ptr<Recovery>&)> arrive);
// Tells the client that it is on the channel, and what it missed, or that this is not known any
// more; subscribes it.
void finish_recovery(Peer& peer, Hub& hub, const App& app, const Recovery& recovery);
// What a newcomer to a cache channel is told: its last event, or that there is none (empty).
void tell_newest(Peer& peer, Hub& hub, const App& app, std::string_view channel,
                 std::string_view newest);

// The data of a subscription_succeeded: `presence` (see above), and where the client stands.
// `recovered`: what came of its wish to be told what it missed; nothing: it had none. Without a
// place of its own the channel has no history.
std::string succeeded_data(std::string_view presence, std::optional<bool> recovered,
                           const Place& place);

}  // namespace holdfast::pusher
