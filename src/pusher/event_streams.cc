#include "pusher/event_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/random.h"
#include "pusher/api_signature.h"
#include "pusher/signature.h"

namespace holdfast::pusher {
namespace {

// Browsers come back after a fixed time: those that lose their server together would come back
// together. Each is told another one.
constexpr std::uint16_t kRetryMin = 1'000, kRetrySpread = 4'000;
// For one too many. A refusal would be the end of it: EventSource gives up at any other status.
constexpr std::string_view kComeLater = "retry: 15000\n\n";

std::string retry_line() {
  std::array<std::byte, 2> bytes;
  net::fill_random(bytes);
  const int number = std::to_integer<int>(bytes[0]) << 8 | std::to_integer<int>(bytes[1]);
  return fmt::format("retry: {}\n\n", kRetryMin + number % kRetrySpread);
}

// A page of our own host says no Origin, and what is no page could say any.
bool is_allowed(const App& app, const std::optional<std::string_view>& origin) {
  return app.origins.empty() || !origin ||
         std::find(app.origins.begin(), app.origins.end(), *origin) != app.origins.end();
}

// Fetch, 3.3. Pages of other origins are told nothing, and their browsers let them read nothing.
void open_to_pages(const App& app, const Request& request, Reply& reply) {
  const auto origin = request.header("Origin");
  if (!origin || !is_allowed(app, origin)) return;
  const bool any = app.origins.empty();
  reply.headers.emplace_back("Access-Control-Allow-Origin", any ? "*" : *origin);
  if (!any) reply.headers.emplace_back("Vary", "Origin");
  if (request.method() != "OPTIONS") return;
  reply.headers.emplace_back("Access-Control-Allow-Methods", "GET");
  reply.headers.emplace_back("Access-Control-Allow-Headers", "Last-Event-ID, Cache-Control");
  reply.headers.emplace_back("Access-Control-Max-Age", "600");
}

// The header comes of itself when a browser comes back; the parameter is for pages that make a new
// EventSource.
std::optional<Place> place_of(const Request& request) {
  if (const auto header = request.header("Last-Event-ID"); header && !header->empty())
    return parse_place(*header).value_or(Place{});
  const auto parameter = request.parameter("last_event_id");
  if (!parameter || parameter->empty()) return std::nullopt;
  return parse_place(*parameter).value_or(Place{});
}

}  // namespace

Reply EventStreams::answer(const Request& request, const App& app, const Query& query,
                           std::string_view channel) const {
  Reply reply = judge(request, app, query, channel);
  open_to_pages(app, request, reply);
  return reply;
}

Reply EventStreams::judge(const Request& request, const App& app, const Query& query,
                          std::string_view channel) const {
  if (request.method() == "OPTIONS")
    return {.status = 204, .headers = {{"Allow", "GET, HEAD, OPTIONS"}}};
  if (request.method() != "GET") return api_error(405, "a stream is read with GET");
  if (!app.enabled) return api_error(403, "the app is disabled");
  if (!is_allowed(app, request.header("Origin")))
    return api_error(403, "pages of this origin may not read the app's channels");
  if (!is_channel_name(channel)) return api_error(400, "this is no channel's name");
  const ChannelName kind = classify(channel);
  if (kind.access == ChannelName::Access::kPresence) {
    return api_error(400, "a member of a presence channel needs a WebSocket");
  }
  const auto key = query.find("key");
  const bool is_by_key = kind.access == ChannelName::Access::kPublic && key != query.end();
  if (is_by_key && key->second != app.key) return api_error(401, "key is not the key of this app");
  if (!is_by_key) {
    if (auto refusal = check_stream_signature(request, app, query, hub_->unix_seconds()))
      return *std::move(refusal);
  }
  const bool is_full = app.max_connections != 0 && app.state->connections >= app.max_connections;
  if (is_full) app.state->connections_refused.fetch_add(1, std::memory_order_relaxed);
  return {.body = is_full ? std::string(kComeLater) : retry_line(),
          .content_type = "text/event-stream",
          .event_stream = !is_full};
}

void EventStreams::open(Peer& peer, const Request& request, const App& app,
                        std::string_view channel) {
  auto& client = peer.data<Client>();
  if (!client.enter(app)) return peer.close();
  app.state->event_streams.fetch_add(1, std::memory_order_relaxed);
  door_.enter(peer, client, app, {std::string(channel), classify(channel), {}, place_of(request)});
}

void EventStreams::review(Peer& peer) {
  const Client* client = peer.find_data<Client>();
  if (client == nullptr || client->app() == nullptr) return;
  const auto apps = hub_->apps();
  const App* app = apps->by_state(client->app());
  if (app == nullptr || !app->enabled) peer.close();
}

void EventStreams::close(Peer& peer) {
  Client* client = peer.find_data<Client>();
  if (client == nullptr || client->app() == nullptr) return;
  client->app()->event_streams.fetch_sub(1, std::memory_order_relaxed);
  door_.leave_all(*client);
}

}  // namespace holdfast::pusher
