#pragma once

// /apps/{id}/…: the side of the Pusher protocol that application servers speak. Every request is
// signed in its query. (Pages read streams of events here too: event_streams.h.)

#include <memory>
#include <optional>
#include <string_view>

#include "holdfast/handler.h"
#include "pusher/event_streams.h"
#include "pusher/hub.h"
#include "pusher/query.h"
#include "pusher/recent_keys.h"

namespace holdfast::pusher {

class HttpApi final : public Handler {
 public:
  static constexpr std::string_view kPath = "/apps/*";

  explicit HttpApi(std::shared_ptr<Hub> hub) : hub_(std::move(hub)), streams_(hub_) {}

  Verdict upgrade(Peer&, const Request&) override;
  std::optional<Reply> request(const Request& request, Publisher& publisher) override;
  void open(Peer& peer, const Request& request) override;
  void close(Peer& peer, std::uint16_t code) override;
  void review(Peer& peer) override { streams_.review(peer); }
  // Room for a batch of events as large as any app allows, escaped as JSON text may have to be.
  std::uint64_t body_bytes_max() const override;

 private:
  struct Call {
    const App& app;
    const Query& query;
    std::string_view body;
  };

  // Publishes once, however often a request with this Idempotency-Key comes.
  Reply once(const Call& call, const std::optional<std::string_view>& key,
             Reply (HttpApi::*publish)(const Call&));
  Reply events(const Call& call);
  Reply batch_events(const Call& call);
  Reply channels(const Call& call);
  Reply channel(const Call& call, std::string_view name);
  Reply users(const Call& call, std::string_view name);
  Reply terminate_connections(const Call& call, std::string_view user);

  std::shared_ptr<Hub> hub_;
  EventStreams streams_;
  RecentKeys recent_keys_;
};

}  // namespace holdfast::pusher
