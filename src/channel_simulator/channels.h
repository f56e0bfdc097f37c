#pragma once

// The channels of a simulated app, one of each sort, and the app itself.

#include <array>
#include <string>
#include <string_view>

#include "pusher/app.h"
#include "pusher/channel_name.h"

namespace holdfast::channel_simulator {

inline constexpr std::string_view kAppId = "1", kKey = "key", kSecret = "secret";
// Those with "kept" in their name have a history.
inline constexpr std::array<std::string_view, 9> kChannels = {
    "news",       "private-plain",       "presence-plain", "presence-other",    "presence-kept",
    "cache-last", "presence-cache-kept", "kept",           "private-cache-kept"};
inline constexpr std::array<std::string_view, 4> kKeptPrefixes = {
    "kept", "presence-kept", "presence-cache-kept", "private-cache-kept"};

inline bool is_presence(std::string_view channel) {
  return pusher::classify(channel).access == pusher::ChannelName::Access::kPresence;
}
inline bool is_cache(std::string_view channel) { return pusher::classify(channel).is_cache; }
inline bool takes_client_events(std::string_view channel) {
  return pusher::classify(channel).takes_client_events();
}

}  // namespace holdfast::channel_simulator
