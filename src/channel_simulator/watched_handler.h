#pragma once

// The product's handler, with an ear at it: what it is told of a connection, Truth is told too.

#include <functional>

#include "channel_simulator/truth.h"
#include "pusher/socket_handler.h"
#include "simulator/link.h"
#include "simulator/world.h"

namespace holdfast::channel_simulator {

class WatchedHandler final : public Handler {
 public:
  using LinkOf = std::function<simulator::Link&(PeerId)>;

  WatchedHandler(std::shared_ptr<pusher::Hub> hub, simulator::World& world, Truth& truth,
                 LinkOf link_of)
      : inner_(std::move(hub)), world_(world), truth_(truth), link_of_(std::move(link_of)) {}

  Verdict upgrade(Peer& peer, const Request& request) override {
    return inner_.upgrade(peer, request);
  }
  void open(Peer& peer, const Request& request) override;
  void message(Peer& peer, MessageKind kind, Bytes payload) override;
  void close(Peer& peer, std::uint16_t code) override;
  std::uint16_t drain_code() const override { return inner_.drain_code(); }
  std::uint16_t queue_full_code() const override { return inner_.queue_full_code(); }
  std::uint16_t no_pong_code() const override { return inner_.no_pong_code(); }
  void review(Peer& peer) override { inner_.review(peer); }

 private:
  void note(int link, std::string_view text);

  pusher::SocketHandler inner_;
  simulator::World& world_;
  Truth& truth_;
  LinkOf link_of_;
};

}  // namespace holdfast::channel_simulator
