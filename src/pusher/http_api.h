#pragma once

// /apps/{id}/…: the side of the Pusher protocol that application servers speak. Every request is
// signed in its query.

#include <memory>
#include <optional>
#include <string_view>

#include "holdfast/handler.h"
#include "pusher/hub.h"
#include "pusher/query.h"
#include "pusher/recent_keys.h"

namespace holdfast::pusher {

class HttpApi final : public Handler {
 public:
  static constexpr std::string_view kPath = "/apps/*";

  explicit HttpApi(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {}

  Verdict upgrade(Peer&, const Request&) override;
  std::optional<Reply> request(const Request& request, Publisher& publisher) override;
  // Room for a batch of events as large as any app allows, escaped as JSON text may have to be.
  std::uint64_t body_bytes_max() const override;

 private:
  struct Call {
    const App& app;
    const Query& query;
    std::string_view body;
  };

  // Nothing when the request is signed as it should be.
  std::optional<Reply> check(const Request& request, const App& app, const Query& query) const;
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
  RecentKeys recent_keys_;
};

}  // namespace holdfast::pusher
