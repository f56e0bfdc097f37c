#pragma once

// What a client says: one JSON object in a text frame.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pusher/history.h"

namespace holdfast::pusher {

struct ClientMessage {
  std::string event;
  std::string channel;  // beside the event: of client events
  std::string data;     // as JSON text, as it came; "{}" when there was none

  // Of a subscribe, unsubscribe or sign-in: the fields of `data`, which may be an object or an
  // object's text in a string. Missing ones are empty.
  struct Fields {
    std::string channel;
    std::string auth;
    std::optional<std::string> channel_data;
    std::optional<std::string> user_data;
    // {"serial":7,"epoch":"5f"}: where it was when it was here before. What is no such object is a
    // place that nobody knows.
    std::optional<Place> recover;
  };
  std::optional<Fields> fields() const;
};

// Nothing for what is no JSON object with a text `event`. Any thread.
std::optional<ClientMessage> parse_client_message(std::string_view text);

// Whether this is a `pusher:ping`, seen without parsing in the way that the usual client libraries
// write it.
bool is_plain_ping(std::string_view text);

// `channel_data` of a presence channel, or `user_data` of a sign-in: who it is. A numeric id is its
// digits.
struct Identity {
  std::string id;
  std::string info;  // user_info as JSON text; "null" when there was none
};
std::optional<Identity> parse_channel_data(std::string_view text);
struct SignedIn {
  Identity user;
  std::vector<std::string> watchlist;
};
std::optional<SignedIn> parse_user_data(std::string_view text);

}  // namespace holdfast::pusher
