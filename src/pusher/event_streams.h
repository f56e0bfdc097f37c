#pragma once

// GET /apps/{id}/channels/{channel}/sse: a channel as a stream of server-sent events (WHATWG HTML,
// 9.2), for readers that need no socket.
//
// The data of an event is the message that a WebSocket on the channel gets. Where the channel has a
// history, an event's id is its place there ("epoch:serial"), and a reader that comes back with it
// (Last-Event-ID) is told what it missed as history.h promises.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/handler.h"
#include "pusher/channel_door.h"
#include "pusher/hub.h"
#include "pusher/query.h"

namespace holdfast::pusher {

// Any thread; a peer is its worker's.
class EventStreams {
 public:
  explicit EventStreams(std::shared_ptr<Hub> hub) : hub_(std::move(hub)), door_(hub_) {}

  // A stream, or what is wrong with the request, readable for the pages that the app allows. Public
  // channels are read with the app's key, others with a signed request.
  Reply answer(const Request& request, const App& app, const Query& query,
               std::string_view channel) const;
  // Behind an answer that was a stream.
  void open(Peer& peer, const Request& request, const App& app, std::string_view channel);
  void close(Peer& peer);
  // Ends it where its app was removed or disabled.
  void review(Peer& peer);

 private:
  Reply judge(const Request& request, const App& app, const Query& query,
              std::string_view channel) const;

  std::shared_ptr<Hub> hub_;
  ChannelDoor door_;
};

}  // namespace holdfast::pusher
