#pragma once

// What the generator says and understands of the Pusher protocol: enough to be on a channel, and to
// publish to one.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::load {

struct PusherApp {
  std::string id, key, secret;

  // "ID:KEY:SECRET".
  static Result<PusherApp> parse(std::string_view text);
};

// What a client connects to.
std::string pusher_path(const PusherApp& app);
enum class ChannelKind : std::uint8_t { kPublic, kPrivate, kPresence };
// The channel of the client with this number: each of `channels` gets as many.
std::string pusher_channel(ChannelKind kind, std::uint64_t ordinal, std::uint32_t channels);
// The client's socket, in what is PusherWord::kEstablished; empty where it can't be found.
std::string_view pusher_socket_id(std::string_view established);
// Signed where the kind wants it. On a presence channel each number is a user of its own.
std::string pusher_subscribe(const PusherApp& app, ChannelKind kind, std::string_view channel,
                             std::string_view socket_id, std::uint64_t ordinal);

// As the client libraries write it.
inline constexpr std::string_view kPusherPing = R"({"event":"pusher:ping","data":{}})";

enum class PusherWord : std::uint8_t {
  kEstablished,  // now it may subscribe
  kSubscribed,
  kRefused,  // an error, of the connection or the subscription
  kEvent,    // of a channel; its data: see pusher_data()
  kPong,     // the answer to kPusherPing
  kOther,    // ping, counts, members: nothing to us
};
// Of a message of the server. Looked at, not parsed: hundreds of thousands come.
PusherWord pusher_word(std::string_view message);
// The text behind "data": of an event; nothing where there is none. It has no escapes when it is
// one of our own (load/message.h).
std::optional<std::string_view> pusher_data(std::string_view event);

// A whole request, POST /apps/ID/events, that publishes `data` (printable, without quotes) to
// `channel`.
std::string pusher_publish(const PusherApp& app, std::string_view authority,
                           std::string_view channel, std::string_view data,
                           std::int64_t unix_seconds);

}  // namespace holdfast::load
