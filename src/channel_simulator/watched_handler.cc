#include "channel_simulator/watched_handler.h"

#include <fmt/format.h>

#include "channel_simulator/channels.h"
#include "pusher/client_message.h"

namespace holdfast::channel_simulator {

using simulator::Link;
using simulator::What;

void WatchedHandler::open(Peer& peer, const Request& request) {
  Link& link = link_of_(peer.id());
  link.facts.was_opened = true;
  world_.note(What::kOpened, link.worker, link.id);
  inner_.open(peer, request);
}

// First the truth: what the handler does may end the connection.
void WatchedHandler::message(Peer& peer, MessageKind kind, Bytes payload) {
  const Link& link = link_of_(peer.id());
  if (!link.facts.was_opened || link.facts.was_ended)
    world_.trace.fail(
        fmt::format("peer {} speaks before its open() or after its close()", link.id));
  note(link.id, as_text(payload));
  inner_.message(peer, kind, payload);
}

void WatchedHandler::close(Peer& peer, std::uint16_t code) {
  Link& link = link_of_(peer.id());
  link.facts.was_ended = true;
  world_.note(What::kEnded, link.worker, link.id, code);
  truth_.leave(link.id, world_.now);
  inner_.close(peer, code);
}

void WatchedHandler::note(int link, std::string_view text) {
  const auto message = pusher::parse_client_message(text);
  const auto fields = message ? message->fields() : std::nullopt;
  if (!fields) return;
  if (message->event == "pusher:signin") {
    truth_.sign_in(link, pusher::parse_user_data(*fields->user_data)->user);
  } else if (message->event == "pusher:unsubscribe") {
    world_.note(What::kUnsubscribe, -1, link);
    truth_.unsubscribe(link, fields->channel, world_.now);
  } else if (message->event == "pusher:subscribe") {
    world_.note(What::kSubscribe, -1, link);
    std::optional<pusher::Identity> who;
    if (is_presence(fields->channel)) {
      who = fields->channel_data ? pusher::parse_channel_data(*fields->channel_data)
                                 : truth_.signed_in(link);
    }
    truth_.subscribe(link, fields->channel, who);
  }
}

}  // namespace holdfast::channel_simulator
