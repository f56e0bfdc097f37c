#pragma once

// Users of an app, their pages and lines, and the whole server of channels, in one thread and
// without a kernel: real workers, broker, hub, book, history and handler over the simulator's loops
// and clock, moved on step by step as a seed decides (simulator/simulation.h).
//
//   steps  tabs connect, subscribe, leave, sign in, speak, lose their line, come back; the app
//          publishes, ends users' connections, is read again; time passes
//   rests  now and then all becomes quiet for a moment: whoever is there must know the truth
//   end    a rest, a drain, and nothing may be left in the books
//
// Between the rests each client watches that what it hears fits what it heard (client.h).

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "broker/mailbox.h"
#include "channel_simulator/client.h"
#include "channel_simulator/record.h"
#include "channel_simulator/truth.h"
#include "pusher/hub.h"
#include "server/counters.h"
#include "server/router.h"
#include "server/worker.h"
#include "simulator/simulated_loop.h"
#include "simulator/world.h"

namespace holdfast::channel_simulator {

struct Outcome {
  std::string failure;      // empty: all was well
  std::string last_events;  // one a line
  std::uint64_t hash = 0;   // of all events: the same for the same seed and the same program
  std::uint64_t events = 0;
  Tally tally{};
  std::uint64_t returns = 0, removals = 0, lost = 0;  // users; mailboxes that were full

  void add(const Outcome& other);
};

class Simulation {
 public:
  // `live`: prints every event and every message.
  explicit Simulation(std::uint64_t seed, bool live = false);
  ~Simulation();

  // Once.
  Outcome run();
  std::string last_events() const { return world_.trace.last(); }

 private:
  struct Post {
    std::unique_ptr<net::Waker> waker;
    std::unique_ptr<broker::Mailbox> mailbox;
    std::unique_ptr<simulator::SimulatedLoop> loop;
    std::unique_ptr<server::Counters> counters;
    std::unique_ptr<server::Worker> worker;
  };

  // channel_simulation.cc
  void tune();
  void draw_users();
  void open_posts();
  std::shared_ptr<pusher::AppTable> draw_apps();
  std::vector<broker::Mailbox*> mailboxes();
  void look_at_wakers();
  void disconnect(PeerId peer, std::uint16_t code, std::string_view reason);
  void step();
  void connect();
  void publish();
  void terminate();
  void reload();
  void turn(Post& post);
  void settle();
  bool give_turns();
  void pass_time();
  void jump();
  void tick();
  void run_until(Instant end);
  void rest();
  void drain();
  void finish();
  Client* any_client();
  Instant wakes_at(const Post& post) const;
  Instant next_wake() const;
  Outcome outcome() const;

  // channel_audit.cc
  void check_rest();
  void check_books();
  void check_figures();
  void check_end();
  const pusher::App& app() const;

  World world_;
  std::uint32_t members_max_;
  Truth truth_;
  Tally tally_{};
  server::Router router_;
  server::Admission admission_;
  std::vector<Post> posts_;
  Record record_;
  Yardstick yardstick_;
  std::shared_ptr<pusher::Hub> hub_;
  std::deque<Tab> tabs_;
  std::deque<Client> clients_;  // by link
  std::vector<Client*> living_;
  Instant next_tick_{};
};

}  // namespace holdfast::channel_simulator
