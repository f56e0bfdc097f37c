#pragma once

// Keys of publications that were made already, for a while: so that a request which is sent again,
// because its answer got lost, publishes nothing twice.

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/time.h"

namespace holdfast::pusher {

// Any thread.
class RecentKeys {
 public:
  static constexpr std::size_t kKeyBytesMax = 255;
  // How long a key is remembered, unless so many newer ones came that there is no room for it.
  static constexpr Duration kMemory = std::chrono::minutes(10);
  static constexpr std::size_t kKeysMax = 100'000;

  // False when the app used this key already.
  bool add(std::string_view app, std::string_view key, Instant now) {
    std::string name = name_of(app, key);
    const std::lock_guard lock(mutex_);
    while (!order_.empty() && (order_.front().first <= now || order_.size() >= kKeysMax)) {
      const auto& [until, oldest] = order_.front();
      const auto found = known_.find(oldest);
      // One that was forgotten and came again since is a younger one's.
      if (found != known_.end() && found->second == until) known_.erase(found);
      order_.pop_front();
    }
    if (!known_.emplace(name, now + kMemory).second) return false;
    order_.emplace_back(now + kMemory, std::move(name));
    return true;
  }
  // It came to nothing: the key may be used again.
  void forget(std::string_view app, std::string_view key) {
    const std::lock_guard lock(mutex_);
    known_.erase(name_of(app, key));
  }

 private:
  static std::string name_of(std::string_view app, std::string_view key) {
    return std::string(app) + '\x01' + std::string(key);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, Instant> known_;     // until when
  std::deque<std::pair<Instant, std::string>> order_;  // by when they are forgotten
};

}  // namespace holdfast::pusher
