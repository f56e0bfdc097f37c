#pragma once

// What the handlers saw, and what follows from it: who must still hear which publication. It runs
// beside the workers, so that at every moment of a turn it knows what they ought to have done.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "broker/memory_broker.h"
#include "server/worker.h"
#include "simulator/simulated_loop.h"
#include "simulator/world.h"

namespace holdfast::simulator {

// How a subscriber wants a topic.
inline constexpr std::array<SubscribeOptions, 4> kWishes = {
    SubscribeOptions{},
    SubscribeOptions{.window = std::chrono::milliseconds(5)},
    SubscribeOptions{.window = std::chrono::milliseconds(50), .conflate = true},
    SubscribeOptions{.window = std::chrono::milliseconds(200)},
};

// What waits for the end of a window: those of one topic with one wish on one worker.
struct Window {
  std::vector<std::uint32_t> waiting;  // publications
  std::size_t bytes = 0;
};
using WindowName = std::pair<std::uint32_t, std::uint8_t>;  // topic, wish

// A worker with what belongs to it.
struct Post {
  std::unique_ptr<net::Waker> waker;
  std::unique_ptr<broker::Mailbox> mailbox;
  std::unique_ptr<SimulatedLoop> loop;
  std::unique_ptr<server::Counters> counters;
  std::unique_ptr<server::Worker> worker;

  // What should stand in the counters.
  std::vector<std::uint32_t> interest = std::vector<std::uint32_t>(kTopics);  // the broker's
  std::vector<std::uint32_t> mail;         // publications that its mailbox took, in order
  std::size_t mail_taken = 0;              // of them, known to have been read
  std::map<WindowName, Window> windows;    // in which something waits
  std::multimap<Instant, WindowName> due;  // each of them, once
  std::uint64_t gathered = 0, conflated = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t lost = 0;  // refused by a mailbox, of those that were published through this worker
  std::uint64_t opened = 0, ended = 0, messages = 0, requests = 0;
  std::uint64_t missed = 0;          // publications that a peer noticed the lack of
  std::uint64_t answered_alone = 0;  // connections that ended with nothing but answers
  std::uint64_t refused = 0;         // connections that ended refused
  std::uint32_t empty_turns = 0;     // one after the other
};

class Ledger final : public broker::Broker {
 public:
  Ledger(World& world, std::vector<Post>& posts) : world_(world), posts_(posts) {}

  // --- the handlers' side
  void opened(Peer& peer);
  void ended(Peer& peer, std::uint16_t code);
  void message(Peer& peer);
  void subscribe(Peer& peer, std::uint32_t topic, std::uint8_t wish = 0);
  void unsubscribe(Peer& peer, std::uint32_t topic);
  // A request is being answered by the handler. The peer is not known; its worker is.
  void request(Publisher& publisher);
  // Through a worker, as a handler does it; false when a mailbox was full.
  bool publish(Publisher& publisher, std::uint32_t topic, std::size_t bytes);
  // The one worker behind a handler's Peer, to publish through.
  Publisher& publisher_of(Peer& peer) {
    return *posts_[static_cast<std::size_t>(link_of(peer).worker)].worker;
  }
  World& world() { return world_; }

  // --- the simulation's side
  // From outside of all workers.
  void publish(std::uint32_t topic, std::size_t bytes);
  // Follows the worker through the mail that it has taken by now.
  void follow_mail(Post& post);
  // WebSockets by the second in which their connection was accepted.
  const std::map<std::int64_t, std::uint32_t>& opened_by_second() const {
    return opened_by_second_;
  }
  std::uint32_t topic_of(std::uint32_t publication) const { return topics_[publication]; }
  // What a publication is the newest value of: a topic, and a key in it.
  static std::string_view key_of(std::uint32_t publication) {
    constexpr std::array<std::string_view, 3> kKeys = {"", "a", "b"};
    return kKeys[publication * 7 % 5 % kKeys.size()];
  }
  std::uint32_t publications() const { return static_cast<std::uint32_t>(sizes_.size()); }
  std::size_t size_of(std::uint32_t publication) const { return sizes_[publication]; }

  // Before the first turn; the mailboxes are there.
  void open_broker();

  // --- the workers' side: the product's broker, watched
  std::uint32_t publish(broker::SharedPublication publication) override;
  void gain_interest(std::uint32_t worker, std::string_view topic) override;
  void lose_interest(std::uint32_t worker, std::string_view topic) override;

 private:
  Link& link_of(Peer& peer);
  std::string begin_publication(std::uint32_t topic, std::size_t bytes);
  void owe(Post& post, std::uint32_t number);
  void gather(Post& post, std::uint32_t number, std::uint8_t wish);
  void end_windows(Post& post);
  void end_window(Post& post, WindowName name);
  void forget_windows(Post& post, std::uint32_t topics);
  Post& post_of(Peer& peer) { return posts_[static_cast<std::size_t>(link_of(peer).worker)]; }

  World& world_;
  std::vector<Post>& posts_;
  std::unique_ptr<broker::MemoryBroker> broker_;
  std::vector<std::size_t> sizes_;     // of the publications
  std::vector<std::uint32_t> topics_;  // where they went
  std::uint32_t last_refused_ = 0;     // mailboxes, of the last publication
  std::map<std::int64_t, std::uint32_t> opened_by_second_;
};

}  // namespace holdfast::simulator
