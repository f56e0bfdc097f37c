#include "pusher/server_message.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace holdfast::pusher {

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string connection_established(std::string_view socket_id,
                                   std::uint32_t activity_timeout_seconds) {
  const std::string data = fmt::format(R"({{"socket_id":"{}","activity_timeout":{}}})", socket_id,
                                       activity_timeout_seconds);
  return fmt::format(R"({{"event":"pusher:connection_established","data":{}}})", json_string(data));
}

std::string error_message(std::uint16_t code, std::string_view message) {
  return fmt::format(R"({{"event":"pusher:error","data":{{"code":{},"message":{}}}}})",
                     code == 0 ? "null" : std::to_string(code), json_string(message));
}

std::string channel_message(std::string_view event, std::string_view channel,
                            std::string_view data) {
  return fmt::format(R"({{"event":{},"channel":{},"data":{}}})", json_string(event),
                     json_string(channel), json_string(data));
}

std::string subscription_error(std::string_view channel, std::string_view type,
                               std::string_view error, int status) {
  return fmt::format(
      R"({{"event":"pusher:subscription_error","channel":{},"data":{{"type":{},"error":{},"status":{}}}}})",
      json_string(channel), json_string(type), json_string(error), status);
}

std::string cache_miss(std::string_view channel) {
  return fmt::format(R"({{"event":"pusher:cache_miss","channel":{}}})", json_string(channel));
}

std::string member_added(std::string_view channel, std::string_view user, std::string_view info) {
  return channel_message(
      "pusher_internal:member_added", channel,
      fmt::format(R"({{"user_id":{},"user_info":{}}})", json_string(user), info));
}

std::string member_removed(std::string_view channel, std::string_view user) {
  return channel_message("pusher_internal:member_removed", channel,
                         fmt::format(R"({{"user_id":{}}})", json_string(user)));
}

std::string watchlist_events(bool online, const std::vector<std::string>& users) {
  std::string ids;
  for (const std::string& user : users) ids += (ids.empty() ? "" : ",") + json_string(user);
  return fmt::format(
      R"({{"event":"pusher_internal:watchlist_events","data":{{"events":[{{"name":"{}","user_ids":[{}]}}]}}}})",
      online ? "online" : "offline", ids);
}

std::string signin_success(std::string_view user_data) {
  return fmt::format(R"({{"event":"pusher:signin_success","data":{}}})",
                     json_string(fmt::format(R"({{"user_data":{}}})", json_string(user_data))));
}

std::string client_event(std::string_view event, std::string_view channel, std::string_view data,
                         std::string_view user_id) {
  if (user_id.empty()) {
    return fmt::format(R"({{"event":{},"channel":{},"data":{}}})", json_string(event),
                       json_string(channel), data);
  }
  return fmt::format(R"({{"event":{},"channel":{},"data":{},"user_id":{}}})", json_string(event),
                     json_string(channel), data, json_string(user_id));
}

std::string published_event(std::string_view event, std::string_view channel,
                            std::string_view data) {
  return fmt::format(R"({{"event":{},"channel":{},"data":{}}})", json_string(event),
                     json_string(channel), json_string(data));
}

}  // namespace holdfast::pusher
