#include "pusher/api_signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "pusher/server_message.h"
#include "pusher/signature.h"

namespace holdfast::pusher {
namespace {

constexpr std::int64_t kTimestampToleranceSeconds = 600;
constexpr std::int64_t kStreamSecondsMax = 86'400;
constexpr std::string_view kLastEventId = "last_event_id";

std::string_view value_of(const Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::int64_t> seconds_in(const Query& query, std::string_view name) {
  const std::string_view text = value_of(query, name);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return seconds;
}

// `query_text` is what was signed of the query; `expires`: see check_stream_signature().
std::optional<Reply> check(const Request& request, const App& app, const Query& query,
                           std::string_view query_text, std::optional<std::int64_t> expires,
                           std::int64_t now) {
  if (value_of(query, "auth_version") != "1.0") return api_error(401, "auth_version must be 1.0");
  if (value_of(query, "auth_key") != app.key)
    return api_error(401, "auth_key is not the key of this app");
  const auto then = seconds_in(query, "auth_timestamp");
  const bool is_early = then && *then > now + kTimestampToleranceSeconds;
  const bool is_late =
      then && (expires ? *expires < now : *then < now - kTimestampToleranceSeconds);
  if (!then || is_early || (is_late && !expires)) {
    return api_error(401,
                     fmt::format("auth_timestamp {} is more than {} s from this server's clock",
                                 value_of(query, "auth_timestamp"), kTimestampToleranceSeconds));
  }
  if (is_late || (expires && *expires > *then + kStreamSecondsMax)) {
    return api_error(401, fmt::format("expires {} is over, or more than {} s after auth_timestamp",
                                      *expires, kStreamSecondsMax));
  }
  const std::string_view body = as_text(request.body());
  const std::string_view digest = value_of(query, "body_md5");
  if (!body.empty() || !digest.empty()) {
    if (!is_same(digest, md5_of(body)))
      return api_error(401, "body_md5 is not the MD5 of the body");
  }
  const std::string text = text_of_request(request.method(), request.path(), query_text);
  if (is_same(value_of(query, "auth_signature"), sign(app.secret, text))) return std::nullopt;
  return api_error(401, fmt::format("auth_signature does not fit; signed must be {}", text));
}

std::string without(std::string_view name, std::string_view query) {
  std::string rest;
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), field.size() + 1));
    if (field.substr(0, field.find('=')) == name) continue;
    if (!rest.empty()) rest += '&';
    rest += field;
  }
  return rest;
}

}  // namespace

Reply api_error(int status, std::string_view error) {
  return {.status = status,
          .body = fmt::format("{{\"error\":{}}}\n", json_string(error)),
          .content_type = "application/json"};
}

std::optional<Reply> check_signature(const Request& request, const App& app, const Query& query,
                                     std::int64_t now) {
  return check(request, app, query, request.query(), std::nullopt, now);
}

std::optional<Reply> check_stream_signature(const Request& request, const App& app,
                                            const Query& query, std::int64_t now) {
  return check(request, app, query, without(kLastEventId, request.query()),
               seconds_in(query, "expires"), now);
}

}  // namespace holdfast::pusher
