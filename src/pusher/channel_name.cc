#include "pusher/channel_name.h"

#include <algorithm>

namespace holdfast::pusher {
namespace {

bool is_allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-=@,.;").find(c) != std::string_view::npos;
}

}  // namespace

bool is_channel_name(std::string_view name) {
  if (name.starts_with(kUserChannelPrefix)) return name.size() > kUserChannelPrefix.size();
  return !name.empty() && name.size() <= kChannelNameBytesMax &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

ChannelName classify(std::string_view name) {
  using Access = ChannelName::Access;
  const auto take = [&](std::string_view prefix) {
    if (!name.starts_with(prefix)) return false;
    name.remove_prefix(prefix.size());
    return true;
  };
  ChannelName result;
  if (take(kUserChannelPrefix)) {
    result.access = Access::kUser;
    return result;
  }
  if (take("private-encrypted-")) {
    result.access = Access::kEncrypted;
  } else if (take("private-")) {
    result.access = Access::kPrivate;
  } else if (take("presence-")) {
    result.access = Access::kPresence;
  }
  result.is_cache = take("cache-");
  return result;
}

}  // namespace holdfast::pusher
