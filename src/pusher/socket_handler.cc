#include "pusher/socket_handler.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "pusher/server_message.h"
#include "pusher/signature.h"

namespace holdfast::pusher {
namespace {

constexpr int kProtocolOldest = 5;
constexpr int kProtocolNewest = 7;
constexpr std::size_t kEventNameBytesMax = 200;
constexpr std::size_t kWatchlistMax = 100;
constexpr std::size_t kUserIdBytesMax = 128;
constexpr std::string_view kRetryAfterSeconds = "15";

std::string_view key_of(const Request& request) {
  return request.path().substr(SocketHandler::kPath.size() - 1);
}

const App* app_of(const AppTable& apps, const Request& request) {
  const App* app = apps.by_key(key_of(request));
  return app != nullptr && app->loopback_only && !request.from_loopback() ? nullptr : app;
}

bool is_allowed_origin(const App& app, const Request& request) {
  if (app.origins.empty()) return true;
  const auto origin = request.header("Origin");
  return origin && std::find(app.origins.begin(), app.origins.end(), *origin) != app.origins.end();
}

// Nothing for what is no protocol version that is spoken here.
std::optional<int> protocol_version(std::string_view text) {
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (version < kProtocolOldest || version > kProtocolNewest) return std::nullopt;
  return version;
}

}  // namespace

// Only what sheds load is said before the upgrade: a client that gets 503 waits longer each time,
// one that is closed comes back in a second. What is wrong with a request is said over the socket,
// since browsers show nothing of a refused upgrade.
Verdict SocketHandler::upgrade(Peer& peer, const Request& request) {
  const auto apps = hub_->apps();
  const App* app = app_of(*apps, request);
  if (app == nullptr || !app->enabled || peer.data<Client>().enter(*app)) return Verdict::accept();
  return Verdict::refuse(503, "the app has as many connections as it may",
                         {{"Retry-After", std::string(kRetryAfterSeconds)}});
}

void SocketHandler::open(Peer& peer, const Request& request) {
  const auto apps = hub_->apps();
  const App* app = app_of(*apps, request);
  if (app == nullptr) return refuse(peer, 4001, "there is no app with this key");
  if (!app->enabled) return refuse(peer, 4003, "the app is disabled");
  const auto protocol = request.parameter("protocol");
  if (!protocol) return refuse(peer, 4008, "the protocol parameter is missing: protocol=7");
  if (!protocol_version(*protocol)) {
    return refuse(peer, 4007, "protocol versions 5, 6 and 7 are spoken here");
  }
  if (!is_allowed_origin(*app, request)) return refuse(peer, 4009, "this origin is not allowed");
  peer.send(connection_established(socket_id_of(peer.id()), app->activity_timeout));
}

// Protocol 6 and newer read the close code, older clients the message.
void SocketHandler::refuse(Peer& peer, std::uint16_t code, std::string_view reason) const {
  peer.send(error_message(code, reason));
  peer.close(code, reason);
}

void SocketHandler::message(Peer& peer, MessageKind kind, Bytes payload) {
  Client* client = peer.find_data<Client>();
  if (client == nullptr || client->app() == nullptr) return;
  const std::string_view text = as_text(payload);
  if (kind == MessageKind::kText && is_plain_ping(text)) return peer.send(kPongMessage);
  const auto message = kind == MessageKind::kText ? parse_client_message(text) : std::nullopt;
  if (!message) {
    return peer.send(error_message(0, "a message is a JSON object with an event, in a text frame"));
  }
  const auto apps = hub_->apps();
  const App* app = present_app(peer, *client, *apps);
  if (app == nullptr) return;
  if (message->event == "pusher:ping") return peer.send(kPongMessage);
  if (message->event == "pusher:subscribe") return subscribe(peer, *client, *app, *message);
  if (message->event == "pusher:unsubscribe") return unsubscribe(peer, *client, *app, *message);
  if (message->event == "pusher:signin") return sign_in(peer, *client, *app, *message);
  if (message->event.starts_with("client-")) return client_event(peer, *client, *app, *message);
}

const App* SocketHandler::present_app(Peer& peer, const Client& client,
                                      const AppTable& apps) const {
  const App* app = apps.by_state(client.app());
  if (app == nullptr) {
    refuse(peer, 4001, "the app was removed");
  } else if (!app->enabled) {
    refuse(peer, 4003, "the app is disabled");
  } else {
    return app;
  }
  return nullptr;
}

void SocketHandler::review(Peer& peer) {
  const Client* client = peer.find_data<Client>();
  if (client != nullptr && client->app() != nullptr) present_app(peer, *client, *hub_->apps());
}

// What is wrong is said to the peer.
std::optional<Admission> SocketHandler::admit(Peer& peer, const Client& client, const App& app,
                                              const ClientMessage& message) const {
  const auto fields = message.fields().value_or(ClientMessage::Fields{});
  const auto fail = [&](std::string_view type, std::string_view error, int status) {
    peer.send(subscription_error(fields.channel, type, error, status));
    return std::nullopt;
  };
  if (!is_channel_name(fields.channel)) {
    return fail("InvalidChannel", "a channel's name is 1 to 164 letters, digits and _-=@,.;", 400);
  }
  Admission admission{fields.channel, classify(fields.channel), {}, fields.recover};
  if (client.find(fields.channel) != nullptr) {
    peer.send(error_message(0, fmt::format("already subscribed to {}", fields.channel)));
    return std::nullopt;
  }
  if (client.channels() >= app.channels_per_client) {
    return fail("LimitReached",
                fmt::format("a client may be on {} channels", app.channels_per_client), 403);
  }
  if (admission.kind.access == ChannelName::Access::kUser) {
    return fail("AuthError", "a user's own channel comes with the sign-in", 401);
  }
  if (!admission.kind.needs_signature()) return admission;

  const bool is_presence = admission.kind.access == ChannelName::Access::kPresence;
  std::optional<std::string_view> channel_data;
  if (is_presence && fields.channel_data) channel_data = *fields.channel_data;
  const std::string signed_text =
      text_to_join(socket_id_of(peer.id()), fields.channel, channel_data);
  if (!is_signed(fields.auth, app.key, app.secret, signed_text)) {
    return fail("AuthError",
                fmt::format("the signature does not fit; signed must be \"{}\"", signed_text), 401);
  }
  if (!is_presence) return admission;
  if (channel_data && channel_data->size() > app.presence_info_bytes_max) {
    return fail("LimitReached",
                fmt::format("channel_data may have {} bytes", app.presence_info_bytes_max), 413);
  }
  // A signed-in user needs no channel_data of its own.
  admission.identity = channel_data               ? parse_channel_data(*channel_data)
                       : client.user() != nullptr ? std::optional(client.user()->who.user)
                                                  : std::nullopt;
  if (!admission.identity || admission.identity->id.size() > kUserIdBytesMax) {
    return fail("AuthError",
                fmt::format("channel_data must be an object with a user_id of at most {} bytes",
                            kUserIdBytesMax),
                401);
  }
  return admission;
}

void SocketHandler::subscribe(Peer& peer, Client& client, const App& app,
                              const ClientMessage& message) {
  const auto admission = admit(peer, client, app, message);
  if (admission) door_.enter(peer, client, app, *admission);
}

void SocketHandler::unsubscribe(Peer& peer, Client& client, const App& app,
                                const ClientMessage& message) {
  const auto fields = message.fields();
  if (!fields) return;
  const auto membership = client.remove(fields->channel);
  if (!membership) return;
  client.end_arrival(fields->channel);
  peer.unsubscribe(Hub::topic_of(app.id, fields->channel));
  door_.leave(&app, *app.state, *membership);
}

void SocketHandler::sign_in(Peer& peer, Client& client, const App& app,
                            const ClientMessage& message) {
  const auto fields = message.fields();
  const std::string user_data = fields && fields->user_data ? *fields->user_data : "";
  if (!fields || !is_signed(fields->auth, app.key, app.secret,
                            text_to_sign_in(socket_id_of(peer.id()), user_data))) {
    return refuse(peer, 4009, "the sign-in's signature does not fit");
  }
  auto who = parse_user_data(user_data);
  if (!who || who->user.id.size() > kUserIdBytesMax) {
    return refuse(
        peer, 4009,
        fmt::format("user_data must be an object with an id of at most {} bytes", kUserIdBytesMax));
  }
  if (who->watchlist.size() > kWatchlistMax) {
    return peer.send(
        error_message(4302, fmt::format("a watchlist has at most {} users", kWatchlistMax)));
  }
  if (client.user() != nullptr) return peer.send(error_message(0, "already signed in"));
  const std::string user = who->user.id;
  const auto watchlist = std::exchange(who->watchlist, {});
  peer.subscribe(Hub::topic_of(app.id, std::string(kUserChannelPrefix) + user));
  const auto place = hub_->sign_in(app.id, user, peer.id());
  client.sign_in({std::move(*who), place});
  peer.send(signin_success(user_data));
  watch(peer, app, watchlist);
}

void SocketHandler::watch(Peer& peer, const App& app, const std::vector<std::string>& users) {
  for (const std::string& user : users) {
    if (!hub_->watch(peer, app.id, user))
      return peer.close(4100, "too busy: come back in a second");
  }
}

void SocketHandler::client_event(Peer& peer, Client& client, const App& app,
                                 const ClientMessage& message) {
  const auto fail = [&](std::string_view reason) {
    app.state->client_events_refused.fetch_add(1, std::memory_order_relaxed);
    peer.send(error_message(4301, reason));
  };
  if (!app.client_events) return fail("client events are not enabled for this app");
  const Client::Membership* membership = client.find(message.channel);
  if (membership == nullptr || !classify(message.channel).takes_client_events()) {
    return fail("client events go to private and presence channels that the sender is on");
  }
  if (message.event.size() > kEventNameBytesMax || message.data.size() > app.event_bytes_max) {
    return fail(fmt::format("a client event's name has at most {} bytes, its data {}",
                            kEventNameBytesMax, app.event_bytes_max));
  }
  if (!client.allows_event(app.client_event_rate, hub_->now())) {
    return fail(fmt::format("more than {} client events a second", app.client_event_rate));
  }
  app.state->client_events.fetch_add(1, std::memory_order_relaxed);
  hub_->publish_event(
      app, message.channel,
      pusher::client_event(message.event, message.channel, message.data, membership->user()),
      peer.id());
  if (app.webhooks.empty()) return;
  const std::string_view user = membership->user();
  hub_->announce(app, WebhookEvent::kClientEvent, message.channel,
                 fmt::format(R"(,"event":{},"data":{},"socket_id":"{}"{})",
                             json_string(message.event), message.data, socket_id_of(peer.id()),
                             user.empty() ? "" : R"(,"user_id":)" + json_string(user)));
}

void SocketHandler::close(Peer& peer, std::uint16_t) {
  Client* client = peer.find_data<Client>();
  if (client == nullptr || client->app() == nullptr) return;
  door_.leave_all(*client);
  if (const auto user = client->sign_out()) {
    hub_->sign_out(user->place, user->who.user.id, peer.id());
  }
}

}  // namespace holdfast::pusher
