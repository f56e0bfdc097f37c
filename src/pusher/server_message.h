#pragma once

// What the server says, as the text of one frame.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::pusher {

// `text` as a JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

std::string connection_established(std::string_view socket_id,
                                   std::uint32_t activity_timeout_seconds);
// `code` 0: none.
std::string error_message(std::uint16_t code, std::string_view message);
inline constexpr std::string_view kPongMessage = R"({"event":"pusher:pong","data":"{}"})";
// `data` is JSON text and goes out as a string of it, as the protocol wants.
std::string channel_message(std::string_view event, std::string_view channel,
                            std::string_view data);
std::string subscription_error(std::string_view channel, std::string_view type,
                               std::string_view error, int status);
std::string cache_miss(std::string_view channel);
// `info` is JSON text.
std::string member_added(std::string_view channel, std::string_view user, std::string_view info);
std::string member_removed(std::string_view channel, std::string_view user);
// `online`: of the users that a signed-in user watches.
std::string watchlist_events(bool online, const std::vector<std::string>& users);
std::string signin_success(std::string_view user_data);
// An event that a client sent: `data` as it came; `user_id` empty outside presence channels.
std::string client_event(std::string_view event, std::string_view channel, std::string_view data,
                         std::string_view user_id);
// An event published over HTTP; `data` is a text of any kind.
std::string published_event(std::string_view event, std::string_view channel,
                            std::string_view data);

}  // namespace holdfast::pusher
