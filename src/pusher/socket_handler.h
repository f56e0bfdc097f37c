#pragma once

// /app/{key}: the clients' side of the Pusher protocol, version 7.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/handler.h"
#include "pusher/channel_door.h"
#include "pusher/client.h"
#include "pusher/hub.h"

namespace holdfast::pusher {

class SocketHandler final : public Handler {
 public:
  static constexpr std::string_view kPath = "/app/*";

  explicit SocketHandler(std::shared_ptr<Hub> hub) : hub_(std::move(hub)), door_(hub_) {}

  Verdict upgrade(Peer& peer, const Request& request) override;
  void open(Peer& peer, const Request& request) override;
  void message(Peer& peer, MessageKind kind, Bytes payload) override;
  void close(Peer& peer, std::uint16_t code) override;
  // "Reconnect at once": the client goes where a balancer sends it, without a pause.
  std::uint16_t drain_code() const override { return 4200; }
  // "Over capacity": it comes back after a second.
  std::uint16_t queue_full_code() const override { return 4100; }
  std::uint16_t no_pong_code() const override { return 4201; }
  // Ends clients of an app that was removed or disabled.
  void review(Peer& peer) override;

 private:
  // The app whose client this is; where it may not be one any more it is ended, and that is null.
  const App* present_app(Peer& peer, const Client& client, const AppTable& apps) const;
  void subscribe(Peer& peer, Client& client, const App& app, const ClientMessage& message);
  std::optional<Admission> admit(Peer& peer, const Client& client, const App& app,
                                 const ClientMessage& message) const;
  void unsubscribe(Peer& peer, Client& client, const App& app, const ClientMessage& message);
  void sign_in(Peer& peer, Client& client, const App& app, const ClientMessage& message);
  void watch(Peer& peer, const App& app, const std::vector<std::string>& users);
  void client_event(Peer& peer, Client& client, const App& app, const ClientMessage& message);
  void refuse(Peer& peer, std::uint16_t code, std::string_view reason) const;

  std::shared_ptr<Hub> hub_;
  ChannelDoor door_;
};

}  // namespace holdfast::pusher
