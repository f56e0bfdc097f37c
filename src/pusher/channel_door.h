#pragma once

// How a client gets on a channel and off it again, once it is known that it may.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/peer.h"
#include "pusher/arrival.h"
#include "pusher/channel_name.h"
#include "pusher/client.h"
#include "pusher/hub.h"

namespace holdfast::pusher {

// A subscription that was found to be in order.
struct Admission {
  std::string channel;
  ChannelName kind;
  std::optional<Identity> identity;  // of presence channels
  std::optional<Place> recover;      // where it was before, if it wants to hear what it missed
};

// Any thread; a peer is its worker's.
class ChannelDoor {
 public:
  // Outlives the server, as its handler does.
  explicit ChannelDoor(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {}

  // Puts the client on the channel and tells it so, or why not: at once, or in a turn or two where
  // it has to be told more than that (arrival.h).
  void enter(Peer& peer, Client& client, const App& app, const Admission& admission);
  // Takes it off, after Client::remove(). `app` is null when it was removed meanwhile.
  void leave(const App* app, AppState& state, const Client::Membership& membership);
  // Off all channels: it is gone.
  void leave_all(Client& client);

 private:
  std::shared_ptr<Arrival> begin_arrival(const App& app, const Admission& admission) const;
  ChannelBook::Joined join(Peer& peer, const App& app, const Admission& admission,
                           const std::shared_ptr<Arrival>& arrival, bool& is_sent);
  void arrive(Peer& peer, const std::shared_ptr<Arrival>& arrival);

  std::shared_ptr<Hub> hub_;
};

}  // namespace holdfast::pusher
