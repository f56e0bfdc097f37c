#pragma once

// What may be the name of a topic: any bytes but zero, which stands between the name and the wishes
// in a window's key (windows.h). So no name that a peer can think of is another's window.

#include <cstddef>
#include <string_view>

namespace holdfast::server {

inline constexpr std::size_t kTopicBytesMax = 1024;

constexpr bool is_topic(std::string_view name) {
  return !name.empty() && name.size() <= kTopicBytesMax &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace holdfast::server
