#pragma once

// An application: who may connect and publish under which key, and within which limits.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::pusher {

struct App {
  std::string id;      // in the paths of the HTTP API
  std::string key;     // public: in the path that clients connect to
  std::string secret;  // signs channels, requests and webhooks
  bool enabled = true;
  bool client_events = false;            // whether clients may send events to each other
  std::uint32_t client_event_rate = 10;  // of one client, a second; 0: no limit
  std::uint64_t max_connections = 0;     // 0: no limit but the server's
  std::uint32_t channels_per_client = 100;
  std::uint32_t presence_members_max = 100;
  std::uint32_t presence_info_bytes_max = 2048;  // channel_data of one member
  std::uint32_t event_bytes_max = 10 * 1024;     // data of one event
  std::chrono::seconds cache_ttl{1800};          // of the last event of a cache channel
  std::vector<std::string> origins = {};         // allowed Origin values; empty: any
};

// The applications at one moment.
class AppTable {
 public:
  // Fails for two apps with one id or key, and for an app without id, key or secret: says which.
  static Result<std::shared_ptr<const AppTable>> make(std::vector<App> apps);

  const App* by_id(std::string_view id) const;
  const App* by_key(std::string_view key) const;
  const std::vector<App>& all() const { return apps_; }

 private:
  explicit AppTable(std::vector<App> apps) : apps_(std::move(apps)) {}
  std::vector<App> apps_;  // few: looked through
};

// The applications in force. Any thread.
class Apps {
 public:
  explicit Apps(std::shared_ptr<const AppTable> table) : table_(std::move(table)) {}
  std::shared_ptr<const AppTable> now() const { return table_.load(std::memory_order_acquire); }
  void replace(std::shared_ptr<const AppTable> table) {
    table_.store(std::move(table), std::memory_order_release);
  }

 private:
  std::atomic<std::shared_ptr<const AppTable>> table_;
};

}  // namespace holdfast::pusher
