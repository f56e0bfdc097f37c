#pragma once

// Publishes to the topic under load, as a backend would: one POST a message, on a schedule that
// waits for no answer. As many connections are kept open as the schedule needs, up to kPeersMax;
// beyond that a message waits, and its wait counts as latency. So does one that would overtake
// another by more than subscribers can tell from a repeated one (SequenceWindow::kSpan).

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "client/target.h"
#include "load/message.h"
#include "load/outbox.h"
#include "load/pacer.h"
#include "load/pusher_client.h"
#include "load/report.h"
#include "net/loop.h"
#include "protocol/http_response.h"

namespace holdfast::load {

struct PublisherPlan {
  const client::Target* target;
  net::Address from;
  std::string token;  // bearer token; empty: none is sent
  std::uint32_t message_bytes;
  std::uint32_t run;  // the sender in its messages
  // Where there is one, messages are its events, to the one channel.
  const PusherApp* pusher = nullptr;
  ChannelKind channel_kind = ChannelKind::kPublic;  // pusher
};

class Publisher {
 public:
  static constexpr std::size_t kPeersMax = 64;
  static constexpr std::size_t kWaitingMax = 100'000;

  // All references must outlive it. `clock` is read around each POST.
  Publisher(const PublisherPlan& plan, net::Loop& loop, Outbox& outbox, MessageFacts& facts,
            Instant (*clock)());

  // So many a second from `now` on.
  void begin(Instant now, double per_second);
  // No more from now on; what is on its way is still answered. What was due and did not leave is
  // counted as late.
  void stop(Instant now);
  // When the next is due; kNever when stopped.
  Instant next_due() const;
  // Sends what is due. Returns the descriptors of connections that it made for it.
  std::vector<net::Descriptor> send_due(Instant now);
  // Whether everything that was sent has been answered.
  bool at_rest() const { return waiting_.empty() && idle_.size() == peers_.size(); }
  bool owns(net::Descriptor descriptor) const { return peers_.contains(descriptor); }
  std::uint32_t published() const { return next_sequence_; }

  // What completed on one of its connections; of others, nothing happens.
  void on_connected(net::Descriptor descriptor, int error);
  void on_received(net::Descriptor descriptor, Bytes bytes);
  void on_closed(net::Descriptor descriptor, int error);
  // Ends all connections.
  void leave();

 private:
  struct Peer {
    explicit Peer(const protocol::HttpLimits* limits) : parser(limits) {}
    protocol::HttpResponseParser parser;
    std::optional<Message> carries;
    Instant sent_at;
  };

  void publish(net::Descriptor descriptor, const Message& message);
  void start_waiting();
  void answered(net::Descriptor descriptor, Peer& peer);
  void drop(net::Descriptor descriptor);

  PublisherPlan plan_;
  net::Loop& loop_;
  Outbox& outbox_;
  MessageFacts& facts_;
  Instant (*clock_)();
  std::string head_;  // of every request
  protocol::HttpLimits limits_;
  std::optional<Pacer> pacer_;
  std::uint32_t next_sequence_ = 0;
  std::deque<Message> waiting_;
  std::unordered_map<net::Descriptor, Peer> peers_;
  std::vector<net::Descriptor> idle_;
  std::set<std::uint32_t> under_way_;  // sequences that were sent and not answered
  std::size_t connecting_ = 0;
};

}  // namespace holdfast::load
