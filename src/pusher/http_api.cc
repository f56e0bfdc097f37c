#include "pusher/http_api.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "pusher/api_signature.h"
#include "pusher/channel_name.h"
#include "pusher/server_message.h"

namespace holdfast::pusher {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kStream = "sse";
constexpr std::size_t kChannelsPerEventMax = 100;
constexpr std::size_t kEventsPerBatchMax = 10;
constexpr std::size_t kEventNameBytesMax = 200;
// In a request's body: a quote or a backslash of an event's data takes two bytes; beside the data
// stand its name, channel and fields, or, of an event that goes to many channels, their list.
constexpr std::uint64_t kEscapedBytes = 2;
constexpr std::uint64_t kEventOverheadBytes = 1024;
constexpr std::uint64_t kListBytes = kChannelsPerEventMax * (kChannelNameBytesMax + 3);

Reply answer(const Json& body) {
  return {.body = body.dump(-1, ' ', false, Json::error_handler_t::replace),
          .content_type = "application/json"};
}

std::string_view value_of(const Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

// What stands before the next slash of a path; it and the slash are taken off.
std::string_view next_part(std::string_view& path) {
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(path.size(), part.size() + 1));
  return part;
}

// What the comma-separated `info` asks for.
struct Info {
  bool user_count = false;
  bool subscription_count = false;
  bool cache = false;
};

Info read_info(std::string_view text) {
  Info info;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    info.user_count |= word == "user_count";
    info.subscription_count |= word == "subscription_count";
    info.cache |= word == "cache";
  }
  return info;
}

Json figures_of(const std::optional<ChannelBook::Figures>& figures, std::string_view channel,
                const Info& info) {
  Json object = Json::object();
  const bool is_presence = classify(channel).access == ChannelName::Access::kPresence;
  if (info.user_count && is_presence) object["user_count"] = figures ? figures->users : 0;
  if (info.subscription_count && !is_presence)
    object["subscription_count"] = figures ? figures->subscriptions : 0;
  return object;
}

// One event as a request describes it; `problem` is set when it can't be published.
struct Event {
  std::string name, data, info;
  std::vector<std::string> channels;
  PeerId except;
  std::optional<Reply> problem;
};

Event read_event(const Json& object, const App& app) {
  Event event;
  const auto fail = [&](int status, std::string error) {
    event.problem = api_error(status, error);
    return event;
  };
  if (!object.is_object())
    return fail(400, "an event is an object with name, data and channel or channels");
  const auto text = [&](const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  event.name = text("name");
  if (event.name.empty() || event.name.size() > kEventNameBytesMax) {
    return fail(400, fmt::format("name must be a string of 1 to {} bytes", kEventNameBytesMax));
  }
  const auto data = object.find("data");
  if (data == object.end() || !data->is_string()) return fail(400, "data must be a string");
  event.data = data->get<std::string>();
  if (event.data.size() > app.event_bytes_max) {
    return fail(413, fmt::format("data has {} bytes; this app allows {}", event.data.size(),
                                 app.event_bytes_max));
  }
  if (const auto channels = object.find("channels");
      channels != object.end() && channels->is_array()) {
    for (const Json& channel : *channels)
      event.channels.push_back(channel.is_string() ? channel.get<std::string>() : "");
  } else if (object.contains("channel")) {
    event.channels.push_back(text("channel"));
  }
  if (event.channels.empty() || event.channels.size() > kChannelsPerEventMax) {
    return fail(400, fmt::format("an event goes to 1 to {} channels", kChannelsPerEventMax));
  }
  for (const std::string& channel : event.channels) {
    if (!is_channel_name(channel))
      return fail(400, fmt::format("{} is no channel's name", json_string(channel)));
  }
  if (const std::string socket_id = text("socket_id"); !socket_id.empty()) {
    event.except = peer_of(socket_id);
    if (!event.except) return fail(400, "socket_id is not of the form 123.456");
  }
  event.info = text("info");
  return event;
}

// False when some worker could not keep up.
bool publish(Hub& hub, const App& app, const Event& event) {
  bool all = true;
  for (const std::string& channel : event.channels) {
    all &= hub.publish_event(app, channel, published_event(event.name, channel, event.data),
                             event.except);
  }
  app.state->events_published.fetch_add(event.channels.size(), std::memory_order_relaxed);
  return all;
}

Reply overloaded() {
  Reply reply = api_error(503, "a worker cannot keep up; some subscribers miss this event");
  reply.headers = {{"Retry-After", "1"}};
  return reply;
}

}  // namespace

Verdict HttpApi::upgrade(Peer&, const Request&) {
  return Verdict::refuse(404, "clients connect to /app/KEY");
}

// Which app it is for is not known yet; the largest bound of all serves.
std::uint64_t HttpApi::body_bytes_max() const {
  std::uint64_t event_bytes = 0;
  for (const App& app : hub_->apps()->all())
    event_bytes = std::max<std::uint64_t>(event_bytes, app.event_bytes_max);
  return kEventsPerBatchMax * (kEscapedBytes * event_bytes + kEventOverheadBytes) + kListBytes;
}

std::optional<Reply> HttpApi::request(const Request& request, Publisher&) {
  std::string_view rest = request.path().substr(kPath.size() - 1);
  const auto next = [&rest] { return next_part(rest); };
  const auto apps = hub_->apps();
  const App* app = apps->by_id(next());
  if (app == nullptr) return api_error(404, "there is no app with this id");
  if (app->loopback_only && !request.from_loopback()) {
    return api_error(403, "the development app is for this machine alone; make one with [[apps]]");
  }
  const Query query = parse_query(request.query());
  const std::string_view what = next();
  const std::string name = percent_decode(next());
  const std::string_view detail = next();
  if (what == "channels" && detail == kStream && rest.empty())
    return streams_.answer(request, *app, query, name);
  if (auto refusal = check_signature(request, *app, query, hub_->unix_seconds())) return refusal;
  if (!app->enabled) return api_error(403, "the app is disabled");
  const Call call{*app, query, as_text(request.body())};
  const bool is_get = request.method() == "GET" || request.method() == "HEAD";
  const bool is_post = request.method() == "POST";
  if (!rest.empty()) return api_error(404, "there is nothing at this path");
  if (what == "events" && name.empty() && is_post) {
    return once(call, request.header("Idempotency-Key"), &HttpApi::events);
  }
  if (what == "batch_events" && name.empty() && is_post) {
    return once(call, request.header("Idempotency-Key"), &HttpApi::batch_events);
  }
  if (what == "channels" && is_get && name.empty()) return channels(call);
  if (what == "channels" && is_get && detail.empty()) return channel(call, name);
  if (what == "channels" && is_get && detail == "users") return users(call, name);
  if (what == "users" && is_post && detail == "terminate_connections")
    return terminate_connections(call, name);
  return api_error(is_get || is_post ? 404 : 405, "there is nothing at this path for this method");
}

// It was a stream that request() answered with.
void HttpApi::open(Peer& peer, const Request& request) {
  std::string_view rest = request.path().substr(kPath.size() - 1);
  const auto apps = hub_->apps();
  const App* app = apps->by_id(next_part(rest));
  next_part(rest);
  if (app == nullptr) return peer.close();
  streams_.open(peer, request, *app, percent_decode(next_part(rest)));
}

void HttpApi::close(Peer& peer, std::uint16_t) { streams_.close(peer); }

Reply HttpApi::once(const Call& call, const std::optional<std::string_view>& key,
                    Reply (HttpApi::*publish)(const Call&)) {
  if (!key) return (this->*publish)(call);
  if (key->empty() || key->size() > RecentKeys::kKeyBytesMax) {
    return api_error(400,
                     fmt::format("Idempotency-Key has 1 to {} bytes", RecentKeys::kKeyBytesMax));
  }
  if (!recent_keys_.add(call.app.id, *key, hub_->now())) {
    Reply reply = answer(Json::object());
    reply.headers = {{"Idempotency-Replayed", "true"}};
    return reply;
  }
  Reply reply = (this->*publish)(call);
  if (reply.status != 200) recent_keys_.forget(call.app.id, *key);
  return reply;
}

Reply HttpApi::events(const Call& call) {
  const Json body = Json::parse(call.body, nullptr, false);
  if (body.is_discarded()) return api_error(400, "the body is no JSON");
  const Event event = read_event(body, call.app);
  if (event.problem) return *event.problem;
  if (!publish(*hub_, call.app, event)) return overloaded();
  if (event.info.empty()) return answer(Json::object());
  const Info info = read_info(event.info);
  Json channels = Json::object();
  for (const std::string& channel : event.channels) {
    channels[channel] = figures_of(hub_->book().figures(call.app.id, channel), channel, info);
  }
  return answer({{"channels", channels}});
}

Reply HttpApi::batch_events(const Call& call) {
  const Json body = Json::parse(call.body, nullptr, false);
  if (!body.is_object() || !body.contains("batch") || !body["batch"].is_array()) {
    return api_error(400, "the body is an object with an array named batch");
  }
  if (body["batch"].size() > kEventsPerBatchMax) {
    return api_error(400, fmt::format("a batch has at most {} events", kEventsPerBatchMax));
  }
  // All or nothing: looked at before the first is published.
  std::vector<Event> events;
  for (const Json& one : body["batch"]) {
    events.push_back(read_event(one, call.app));
    if (events.back().problem) return *events.back().problem;
  }
  Json results = Json::array();
  bool has_info = false;
  for (const Event& event : events) {
    if (!publish(*hub_, call.app, event)) return overloaded();
    const std::string& channel = event.channels.front();
    has_info |= !event.info.empty();
    results.push_back(
        figures_of(hub_->book().figures(call.app.id, channel), channel, read_info(event.info)));
  }
  return answer(has_info ? Json{{"batch", results}} : Json::object());
}

Reply HttpApi::channels(const Call& call) {
  const std::string_view prefix = value_of(call.query, "filter_by_prefix");
  const Info info = read_info(value_of(call.query, "info"));
  if (info.user_count && !prefix.starts_with("presence-")) {
    return api_error(400,
                     "user_count is known of presence channels alone: filter_by_prefix=presence-");
  }
  Json channels = Json::object();
  for (const auto& [name, figures] : hub_->book().channels(call.app.id, prefix)) {
    channels[name] = figures_of(figures, name, info);
  }
  return answer({{"channels", channels}});
}

Reply HttpApi::channel(const Call& call, std::string_view name) {
  if (!is_channel_name(name)) return api_error(400, "this is no channel's name");
  const Info info = read_info(value_of(call.query, "info"));
  const ChannelName kind = classify(name);
  if (info.user_count && kind.access != ChannelName::Access::kPresence) {
    return api_error(400, "user_count is known of presence channels alone");
  }
  const auto figures = hub_->book().figures(call.app.id, name);
  Json object = figures_of(figures, name, info);
  object["occupied"] = figures.has_value();
  if (info.cache && kind.is_cache) {
    const Instant now = hub_->now();
    if (const auto last = hub_->book().last_event(call.app.id, name, now)) {
      const Json message = Json::parse(last->message, nullptr, false);
      object["cache"] = {
          {"data", message.value("data", "")},
          {"ttl", std::chrono::duration_cast<std::chrono::seconds>(last->until - now).count()}};
    } else {
      object["cache"] = nullptr;
    }
  }
  return answer(object);
}

Reply HttpApi::users(const Call& call, std::string_view name) {
  if (classify(name).access != ChannelName::Access::kPresence) {
    return api_error(400, "users are known of presence channels alone");
  }
  Json users = Json::array();
  for (const std::string& id : hub_->book().users(call.app.id, name)) users.push_back({{"id", id}});
  return answer({{"users", users}});
}

Reply HttpApi::terminate_connections(const Call& call, std::string_view user) {
  hub_->disconnect_user(call.app.id, user);
  return answer(Json::object());
}

}  // namespace holdfast::pusher
