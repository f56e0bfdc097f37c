#include "channel_simulator/channel_simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "channel_simulator/channels.h"
#include "channel_simulator/watched_handler.h"
#include "pusher/server_message.h"

namespace holdfast::channel_simulator {

using simulator::SimulatedLoop;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kQueuePlenty = 100'000;
constexpr std::uint32_t kMailPlenty = 100'000;
constexpr std::uint64_t kPlenty = 64 * 1024 * 1024;
// Behind the cache's time and that of the longest history.
constexpr Duration kAllIsOver = std::chrono::hours(24 * 8);
constexpr std::chrono::seconds kCacheTime = std::chrono::hours(24 * 7);

simulator::Scenario without_tls(std::uint64_t seed) {
  simulator::Scenario scenario(seed);
  scenario.tls = 0;
  return scenario;
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool live)
    : world_(without_tls(seed), seed, live),
      members_max_(world_.random.chance(30) ? 2 : 100),
      truth_(members_max_),
      admission_(world_.scenario.admission),
      posts_(world_.scenario.workers),
      record_(world_, mailboxes(), [this] { look_at_wakers(); }),
      yardstick_{world_, record_, tally_, {}, 0, 0} {
  hub_ = std::make_shared<pusher::Hub>(
      draw_apps(), record_,
      [this](PeerId peer, std::uint16_t code, std::string_view reason) {
        disconnect(peer, code, reason);
      },
      pusher::Hub::Clocks{[this] { return world_.now; }, [] { return std::int64_t{0}; }, seed});
  hub_->limit_recovery(world_.scenario.settings.queue_bytes_max / 2);
  yardstick_.may_be_too_busy = world_.scenario.mailbox_max != kMailPlenty;
  // Several recoveries of one turn share the queue with all else; a small one need hold nothing.
  const std::uint64_t queue_bytes_max = world_.scenario.settings.queue_bytes_max;
  yardstick_.recovery_bytes = queue_bytes_max >= kQueuePlenty ? queue_bytes_max / 40 : 0;
  router_.add(std::string(pusher::SocketHandler::kPath),
              std::make_shared<WatchedHandler>(hub_, world_, truth_, [this](PeerId peer) -> Link& {
                Link* link = posts_[peer.worker].loop->link_of(static_cast<int>(peer.descriptor));
                CHECK(link != nullptr);
                return *link;
              }));
  open_posts();
  draw_users();
  next_tick_ = world_.now + seconds(1);
}

Simulation::~Simulation() = default;

// Where the simulator's own limits would hide what is looked for here.
void Simulation::tune() {
  server::WorkerSettings& settings = world_.scenario.settings;
  settings.drop_oldest = settings.conflate = false;
  settings.message_rate_max = 0;
  settings.byte_rate_max = 0;
  settings.queue_bytes_max = world_.random.chance(30) ? 4'000 : kQueuePlenty;
  settings.http.head_bytes_max = 8'192;
  settings.session = {.message_bytes_max = 65'536, .fragments_max = 1'024};
  settings.pong_timeout = std::max(settings.pong_timeout, Duration(milliseconds(1'000)));
  if (settings.descriptors < 60) settings.descriptors = 60;
  if (settings.connections_max < 10) settings.connections_max = 50;
  const bool is_tight = world_.random.chance(10);
  world_.scenario.mailbox_max =
      is_tight ? static_cast<std::uint32_t>(world_.random.between(5, 60)) : kMailPlenty;
  world_.scenario.steps = static_cast<std::uint32_t>(world_.random.between(200, 1'500));
  world_.scenario.buffer_bytes_min = std::max(world_.scenario.buffer_bytes_min, 200u);
  world_.scenario.buffer_bytes_max =
      std::max(world_.scenario.buffer_bytes_max, world_.scenario.buffer_bytes_min);
}

std::vector<broker::Mailbox*> Simulation::mailboxes() {
  tune();
  std::vector<broker::Mailbox*> all;
  for (Post& post : posts_) {
    auto waker = net::Waker::create();
    CHECK(waker);
    post.waker = std::move(*waker);
    post.mailbox = std::make_unique<broker::Mailbox>(*post.waker, world_.scenario.mailbox_max);
    all.push_back(post.mailbox.get());
  }
  return all;
}

void Simulation::open_posts() {
  for (std::size_t i = 0; i < posts_.size(); ++i) {
    Post& post = posts_[i];
    post.loop = std::make_unique<SimulatedLoop>(world_, static_cast<int>(i), *post.waker);
    post.counters = std::make_unique<server::Counters>();
    post.worker = std::make_unique<server::Worker>(world_.scenario.settings, router_, admission_,
                                                   *post.loop, *post.mailbox, record_,
                                                   static_cast<std::uint32_t>(i), *post.counters);
    post.worker->add_listener(SimulatedLoop::kListener);
  }
}

// A few users with a few tabs each; where there are few, they meet often.
void Simulation::draw_users() {
  const auto users = world_.random.between(1, 5);
  for (std::uint64_t user = 0; user < users; ++user) {
    for (std::uint64_t tab = world_.random.between(1, 3); tab > 0; --tab) {
      Tab& one = tabs_.emplace_back();
      one.user = std::to_string(10 + user);
      one.info = world_.random.chance(85) ? R"({"name":"Anna"})" : "null";
      one.says_id_as_number = world_.random.chance(50);
      one.signs_in = world_.random.chance(70);
      for (std::uint64_t other = 0; other < users; ++other) {
        if (world_.random.chance(50)) one.watchlist.push_back(std::to_string(10 + other));
      }
    }
  }
}

std::shared_ptr<pusher::AppTable> Simulation::draw_apps() {
  constexpr std::array<std::uint32_t, 3> kEvents = {3, 20, 1'000};
  constexpr std::array<milliseconds, 3> kAges = {seconds(2), seconds(60), seconds(36'000)};
  yardstick_.history_events = kEvents[world_.random.below(kEvents.size())];
  yardstick_.history_age = kAges[world_.random.below(kAges.size())];
  pusher::App app{
      .id = std::string(kAppId), .key = std::string(kKey), .secret = std::string(kSecret)};
  app.client_events = true;
  app.client_event_rate = 0;
  app.subscription_counts = true;
  app.presence_members_max = members_max_;
  app.cache_ttl = kCacheTime;
  const bool is_tight = world_.random.chance(20);
  app.history_bytes_max = is_tight ? 4'000 : kPlenty;
  if (is_tight) yardstick_.history_events = 0;  // nothing need be known
  for (const std::string_view prefix : kKeptPrefixes) {
    app.history.push_back(
        {.prefix = std::string(prefix),
         .events = std::max(yardstick_.history_events, 3u),
         .age = std::chrono::duration_cast<milliseconds>(yardstick_.history_age)});
  }
  auto table = pusher::AppTable::make({std::move(app)});
  CHECK(table);
  return *table;
}

Outcome Simulation::run() {
  for (std::uint32_t i = 0; i < world_.scenario.steps && !world_.trace.failed(); ++i) {
    if (world_.scenario.drains_early && i == world_.scenario.steps * 4 / 5) drain();
    step();
  }
  if (!world_.trace.failed()) rest();
  if (!world_.trace.failed()) finish();
  return outcome();
}

// ---- one step

Client* Simulation::any_client() {
  return living_.empty() ? nullptr : living_[world_.random.below(living_.size())];
}

void Simulation::step() {
  constexpr std::array<unsigned, 11> kWeights = {30, 6, 25, 14, 10, 8, 14, 2, 1, 1, 1};
  Client* client = any_client();
  Post& post = posts_[world_.random.below(posts_.size())];
  switch (world_.random.weighted(kWeights)) {
    case 0:
      return wakes_at(post) <= world_.now ? turn(post) : void();
    case 1:
      return connect();
    case 2:
      return client == nullptr ? void() : client->act();
    case 3:
      return client == nullptr ? void() : client->deliver();
    case 4:
      return client == nullptr ? void() : client->read(world_.random.between(1, 2'000));
    case 5:
      return publish();
    case 6:
      return pass_time();
    case 7:
      return world_.strikes(world_.scenario.odds.idle_turn) ? turn(post) : void();
    case 8:
      return rest();
    case 9:
      return world_.random.chance(30) ? terminate() : void();
    default:
      if (world_.random.chance(30)) reload();
  }
}

void Simulation::connect() {
  std::erase_if(living_, [this](const Client* client) {
    const Link& link = world_.links[static_cast<std::size_t>(client->number())];
    return link.stage == Link::Stage::kGone && (client->is_over() || client->has_vanished());
  });
  Tab& tab = tabs_[world_.random.below(tabs_.size())];
  // A tab whose line is dead may not know it for long, and is back before the server knows.
  const auto is_held = [&tab](const Client* client) {
    return &client->tab() == &tab && !client->is_over() && !client->has_vanished();
  };
  if (std::any_of(living_.begin(), living_.end(), is_held)) return;
  Link& link = world_.links.emplace_back();
  link.id = static_cast<int>(world_.links.size() - 1);
  link.address = static_cast<std::uint32_t>(world_.random.below(world_.scenario.addresses));
  link.capacity =
      world_.random.between(world_.scenario.buffer_bytes_min, world_.scenario.buffer_bytes_max);
  const std::size_t worker = world_.random.below(posts_.size());
  world_.note(What::kConnect, static_cast<int>(worker), link.id);
  posts_[worker].loop->connect(link);
  living_.push_back(&clients_.emplace_back(yardstick_, tab, link));
}

// Of the app, and now and then not to the one who caused it.
void Simulation::publish() {
  const std::string_view channel = kChannels[world_.random.below(kChannels.size())];
  const Client* client = world_.random.chance(20) ? any_client() : nullptr;
  const PeerId except = client == nullptr ? PeerId{} : client->id();
  for (std::uint64_t i = world_.random.chance(5) ? 30 : 1; i > 0; --i) {
    hub_->publish_event(
        app(), channel,
        pusher::published_event("e", channel, std::to_string(record_.next_number())), except);
  }
}

void Simulation::terminate() {
  yardstick_.is_terminated = true;
  hub_->disconnect_user(kAppId, tabs_[world_.random.below(tabs_.size())].user);
}

void Simulation::disconnect(PeerId peer, std::uint16_t code, std::string_view reason) {
  auto errand = std::make_shared<broker::Publication>();
  errand->errand = std::make_unique<const broker::Errand>(
      peer, [code, text = std::string(reason)](Peer& one) { one.close(code, text); }, nullptr);
  posts_[peer.worker].mailbox->post(std::move(errand));
  look_at_wakers();
}

// The same app, perhaps with another history. What it had before need not be known any more.
void Simulation::reload() {
  hub_->replace_apps(draw_apps());
  record_.forget_histories();
}

void Simulation::turn(Post& post) {
  world_.now += microseconds(world_.random.between(1, 30));
  post.worker->turn();
  post.loop->begin_wait();
  post.loop->take_closed();
  world_.note(What::kTurn, static_cast<int>(&post - posts_.data()), -1);
}

// ---- time

void Simulation::look_at_wakers() {
  for (Post& post : posts_) {
    if (post.loop != nullptr) post.loop->look_at_waker();
  }
}

Instant Simulation::wakes_at(const Post& post) const {
  return post.loop->wakes_at(post.worker->not_before(), post.worker->next_due());
}

Instant Simulation::next_wake() const {
  Instant next = next_tick_;
  for (const Post& post : posts_) next = std::min(next, wakes_at(post));
  return next;
}

void Simulation::settle() {
  for (Client* client : living_) client->keep_up();
}

// Whether anyone had something to do.
bool Simulation::give_turns() {
  bool had = next_tick_ <= world_.now;
  if (had) tick();
  for (Post& post : posts_) {
    if (world_.trace.failed() || wakes_at(post) > world_.now) continue;
    turn(post);
    had = true;
  }
  return had;
}

void Simulation::tick() {
  next_tick_ = world_.now + seconds(1);
  truth_.settle(world_.now);
  hub_->tick();
}

void Simulation::pass_time() {
  settle();
  if (world_.strikes_in_thousand(world_.scenario.odds.jump)) return jump();
  if (give_turns()) return;
  const Instant wake = next_wake();
  const Duration pause =
      Duration(world_.random.between(1, static_cast<std::uint64_t>(world_.scenario.pace.count())));
  world_.now = world_.random.chance(20) ? wake : std::min(wake, world_.now + pause);
}

void Simulation::jump() {
  const Duration length =
      milliseconds(world_.random.between(1, 1u << world_.random.between(1, 13)));
  world_.now += length;
  world_.note(What::kJump, -1, -1, std::chrono::duration_cast<milliseconds>(length).count());
}

void Simulation::run_until(Instant end) {
  while (world_.now < end && !world_.trace.failed()) {
    settle();
    if (!give_turns()) world_.now = std::min(end, next_wake());
  }
}

// ---- rests, and the end

void Simulation::rest() {
  world_.is_calm = true;
  world_.note(What::kCalm, -1, -1);
  run_until(world_.now + milliseconds(world_.random.chance(50) ? 300 : 5'000));
  settle();
  for (int i = 0; i < 1'000 && give_turns(); ++i) settle();
  if (!world_.trace.failed()) check_rest();
  ++tally_.rests;
  world_.is_calm = false;
}

void Simulation::drain() {
  if (world_.is_draining) return;
  world_.is_draining = true;
  world_.drains_since = world_.now;
  world_.note(What::kDrain, -1, -1);
  admission_.drain();
  for (Post& post : posts_) {
    post.worker->drain();
    post.loop->begin_wait();
  }
}

void Simulation::finish() {
  drain();
  world_.is_calm = true;
  const server::WorkerSettings& settings = world_.scenario.settings;
  const Instant due = world_.drains_since + settings.drain_time + settings.close_timeout;
  run_until(std::max(world_.now, due) + milliseconds(200));
  run_until(world_.now + Truth::kAbsence + seconds(2));
  if (world_.trace.failed()) return;
  world_.now += kAllIsOver;
  for (int i = 0; i < 20; ++i) tick();
  check_end();
}

Outcome Simulation::outcome() const {
  Outcome outcome{world_.trace.failure(),
                  {},
                  world_.trace.hash(),
                  world_.trace.events(),
                  tally_,
                  truth_.returns,
                  truth_.removals,
                  record_.lost()};
  if (!outcome.failure.empty()) outcome.last_events = world_.trace.last();
  return outcome;
}

void Outcome::add(const Outcome& other) {
  hash = (hash ^ other.hash) * 0x9e3779b97f4a7c15;
  events += other.events;
  returns += other.returns;
  removals += other.removals;
  lost += other.lost;
  const auto sum = [&](std::uint64_t Tally::* count) { tally.*count += other.tally.*count; };
  for (const auto count :
       {&Tally::connected, &Tally::succeeded, &Tally::refused, &Tally::added, &Tally::removed,
        &Tally::events, &Tally::own, &Tally::recovered, &Tally::lost, &Tally::cached,
        &Tally::missed_cache, &Tally::counts, &Tally::online, &Tally::offline, &Tally::closed_slow,
        &Tally::closed_drain, &Tally::closed_silent, &Tally::closed_by_app, &Tally::rests})
    sum(count);
}

}  // namespace holdfast::channel_simulator
