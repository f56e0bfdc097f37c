#pragma once

// An application: who may connect and publish under which key, and within which limits.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared_value.h"
#include "pusher/channel_name.h"
#include "pusher/history.h"

namespace holdfast::pusher {

// What an app has while this process lives, whatever its settings become; see Hub.
struct AppState {
  // `seed`: History's.
  explicit AppState(std::uint64_t seed) : history(seed) {}

  using Count = std::atomic<std::uint64_t>;
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connections_refused{0};  // over max_connections
  std::atomic<std::uint64_t> event_streams{0};        // of the connections
  std::atomic<std::uint64_t> events_published{0};     // over HTTP, for each channel
  std::atomic<std::uint64_t> client_events{0};
  std::atomic<std::uint64_t> client_events_refused{0};
  // Channels that somebody is on, and subscriptions to them, by ChannelName::Access.
  std::array<Count, kChannelKindNames.size()> channels{}, subscriptions{};
  Count members{0};                          // users on presence channels, each on each of them
  std::atomic<std::uint64_t> recoveries{0};  // clients that came back and missed nothing
  std::atomic<std::uint64_t> recovered_events{0};   // told to them
  std::atomic<std::uint64_t> recoveries_failed{0};  // clients that were told that they missed some
  History history;
};

enum class WebhookEvent : std::uint8_t {
  kChannelOccupied,
  kChannelVacated,
  kMemberAdded,
  kMemberRemoved,
  kClientEvent,
  kCacheMiss,
  kSubscriptionCount,
};
inline constexpr std::array<std::string_view, 7> kWebhookEventNames = {
    "channel_occupied", "channel_vacated", "member_added",      "member_removed",
    "client_event",     "cache_miss",      "subscription_count"};

struct Webhook {
  std::string url;
  std::vector<WebhookEvent> events = {};  // none: all

  bool wants(WebhookEvent kind) const {
    return events.empty() || std::find(events.begin(), events.end(), kind) != events.end();
  }
};

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
  std::uint32_t activity_timeout = 120;   // seconds of silence after which a client says ping
  bool subscription_counts = false;       // whether subscribers are told how many they are
  bool loopback_only = false;             // for this machine alone: its secret is known to all
  std::vector<std::string> origins = {};  // allowed Origin values; empty: any
  std::vector<Webhook> webhooks = {};
  std::vector<HistoryRule> history = {};               // the first that fits a channel; none: none
  std::uint64_t history_bytes_max = 64 * 1024 * 1024;  // of all channels together
  AppState* state = nullptr;                           // set by the Hub that has it in force

  // Null: the events of this channel are not kept.
  const HistoryRule* history_of(std::string_view channel) const;
};

// The applications at one moment.
class AppTable {
 public:
  // Fails for two apps with one id or key, and for an app without id, key or secret: says which.
  static Result<std::shared_ptr<AppTable>> make(std::vector<App> apps);

  const App* by_id(std::string_view id) const;
  const App* by_key(std::string_view key) const;
  const App* by_state(const AppState* state) const;
  const std::vector<App>& all() const { return apps_; }
  std::vector<App>& all() { return apps_; }

 private:
  explicit AppTable(std::vector<App> apps) : apps_(std::move(apps)) {}
  std::vector<App> apps_;  // few: looked through
};

// The applications in force. Any thread.
class Apps {
 public:
  explicit Apps(std::shared_ptr<const AppTable> table) : table_(std::move(table)) {}
  std::shared_ptr<const AppTable> now() const { return table_.load(); }
  void replace(std::shared_ptr<const AppTable> table) { table_.store(std::move(table)); }

 private:
  SharedValue<const AppTable> table_;
};

}  // namespace holdfast::pusher
