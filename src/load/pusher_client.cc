#include "load/pusher_client.h"

#include <fmt/format.h>

#include <array>

#include "pusher/server_message.h"
#include "pusher/signature.h"

namespace holdfast::load {

Result<PusherApp> PusherApp::parse(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos) return failure("must be ID:KEY:SECRET");
  PusherApp app{std::string(text.substr(0, first)),
                std::string(text.substr(first + 1, second - first - 1)),
                std::string(text.substr(second + 1))};
  if (app.id.empty() || app.key.empty() || app.secret.empty()) {
    return failure("must be ID:KEY:SECRET, none of them empty");
  }
  return app;
}

std::string pusher_path(const PusherApp& app) {
  return fmt::format("/app/{}?protocol=7&client=holdfast-load&version=1", app.key);
}

std::string pusher_channel(ChannelKind kind, std::uint64_t ordinal, std::uint32_t channels) {
  constexpr std::array<std::string_view, 3> kPrefixes = {"", "private-", "presence-"};
  return fmt::format("{}load-{}", kPrefixes[static_cast<std::size_t>(kind)], ordinal % channels);
}

std::string_view pusher_socket_id(std::string_view established) {
  constexpr std::string_view kBegin = R"(\"socket_id\":\")";
  const std::size_t begin = established.find(kBegin);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = established.substr(begin + kBegin.size());
  return rest.substr(0, rest.find('\\'));
}

std::string pusher_subscribe(const PusherApp& app, ChannelKind kind, std::string_view channel,
                             std::string_view socket_id, std::uint64_t ordinal) {
  if (kind == ChannelKind::kPublic)
    return fmt::format(R"({{"event":"pusher:subscribe","data":{{"channel":"{}"}}}})", channel);
  const std::string user = fmt::format(R"({{"user_id":"user-{}"}})", ordinal);
  const bool is_presence = kind == ChannelKind::kPresence;
  const std::string auth = pusher::sign(
      app.secret,
      pusher::text_to_join(socket_id, channel,
                           is_presence ? std::optional<std::string_view>(user) : std::nullopt));
  const std::string data =
      is_presence ? fmt::format(R"(,"channel_data":{})", pusher::json_string(user)) : "";
  return fmt::format(R"({{"event":"pusher:subscribe","data":{{"channel":"{}","auth":"{}:{}"{}}}}})",
                     channel, app.key, auth, data);
}

PusherWord pusher_word(std::string_view message) {
  constexpr std::string_view kBegin = R"({"event":")";
  if (!message.starts_with(kBegin)) return PusherWord::kOther;
  const std::string_view event = message.substr(kBegin.size());
  if (!event.starts_with("pusher")) return PusherWord::kEvent;
  if (event.starts_with("pusher:connection_established\"")) return PusherWord::kEstablished;
  if (event.starts_with("pusher_internal:subscription_succeeded\"")) return PusherWord::kSubscribed;
  if (event.starts_with("pusher:pong\"")) return PusherWord::kPong;
  const bool is_error =
      event.starts_with("pusher:error\"") || event.starts_with("pusher:subscription_error\"");
  return is_error ? PusherWord::kRefused : PusherWord::kOther;
}

std::optional<std::string_view> pusher_data(std::string_view event) {
  constexpr std::string_view kBegin = R"("data":")";
  const std::size_t begin = event.find(kBegin);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view rest = event.substr(begin + kBegin.size());
  const std::size_t end = rest.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

std::string pusher_publish(const PusherApp& app, std::string_view authority,
                           std::string_view channel, std::string_view data,
                           std::int64_t unix_seconds) {
  const std::string body =
      fmt::format(R"({{"name":"load","channel":"{}","data":"{}"}})", channel, data);
  const std::string path = fmt::format("/apps/{}/events", app.id);
  const std::string query =
      fmt::format("auth_key={}&auth_timestamp={}&auth_version=1.0&body_md5={}", app.key,
                  unix_seconds, pusher::md5_of(body));
  const std::string signature = pusher::sign(app.secret, fmt::format("POST\n{}\n{}", path, query));
  return fmt::format(
      "POST {}?{}&auth_signature={} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      path, query, signature, authority, body.size(), body);
}

}  // namespace holdfast::load
