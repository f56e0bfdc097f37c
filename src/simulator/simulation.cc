#include "simulator/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "simulator/handlers.h"

namespace holdfast::simulator {

namespace {

constexpr std::uint32_t kEmptyTurnsMax = 20;

}  // namespace

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Simulation::Simulation(std::uint64_t seed, bool live, Sabotage sabotage)
    : world_(seed, live),
      admission_(world_.scenario.admission),
      posts_(world_.scenario.workers),
      ledger_(world_, posts_) {
  world_.sabotage = sabotage;
  add_handlers(router_, ledger_);
  for (Post& post : posts_) {
    auto waker = net::Waker::create();
    CHECK(waker);
    post.waker = std::move(*waker);
    post.mailbox = std::make_unique<broker::Mailbox>(*post.waker, world_.scenario.mailbox_max);
  }
  ledger_.open_broker();
  for (Post& post : posts_) {
    post.loop = std::make_unique<SimulatedLoop>(world_, index_of(post), *post.waker);
    post.counters = std::make_unique<server::Counters>();
    post.worker = std::make_unique<server::Worker>(
        world_.scenario.settings, router_, admission_, *post.loop, *post.mailbox, ledger_,
        static_cast<std::uint32_t>(index_of(post)), *post.counters);
    const DeflateChoice deflate = world_.scenario.deflate;
    post.worker->add_listener(SimulatedLoop::kListener, {.deflate = deflate});
    post.worker->add_listener(SimulatedLoop::kProxyListener,
                              {.proxy = protocol::ProxyVersions::kBoth, .deflate = deflate});
    if (world_.tls == nullptr) continue;
    const server::TlsSource* tls = world_.tls->source();
    post.worker->add_listener(SimulatedLoop::kTlsListener, {.deflate = deflate, .tls = tls});
    post.worker->add_listener(
        SimulatedLoop::kTlsProxyListener,
        {.proxy = protocol::ProxyVersions::kBoth, .deflate = deflate, .tls = tls});
  }
}

Simulation::~Simulation() = default;

Outcome Simulation::run() {
  for (std::uint32_t i = 0; i < world_.scenario.steps && !world_.trace.failed(); ++i) {
    if (world_.scenario.drains_early && i == world_.scenario.steps * 2 / 3) drain();
    step();
  }
  if (!world_.trace.failed()) calm_down();
  if (!world_.trace.failed()) finish();
  return outcome();
}

// ---- one step

void Simulation::step() {
  constexpr std::array<unsigned, 8> kWeights = {30, 6, 25, 12, 8, 3, 14, 2};
  Post& post = posts_[world_.random.below(posts_.size())];
  Peer* peer = living_.empty() ? nullptr : living_[world_.random.below(living_.size())];
  switch (world_.random.weighted(kWeights)) {
    case 0:
      if (wakes_at(post) <= world_.now) turn(post);
      return;
    case 1:
      // A storm is many at once.
      for (std::uint64_t i = world_.random.chance(10) ? 20 : 1; i > 0; --i) connect();
      return;
    case 2:
      return peer == nullptr ? void() : peer->act();
    case 3:
      return peer == nullptr ? void() : peer->deliver();
    case 4:
      return peer == nullptr ? void() : peer->read(world_.random.between(1, 2'000));
    case 5:
      return publish();
    case 6:
      return pass_time();
    default:
      if (world_.strikes(world_.scenario.odds.idle_turn)) turn(post);
  }
}

// Now and then more than a worker takes in one turn.
void Simulation::publish() {
  const auto topic = static_cast<std::uint32_t>(world_.random.below(kTopics));
  for (std::uint64_t i = world_.random.chance(1) ? 600 : 1; i > 0; --i)
    ledger_.publish(topic, world_.random.below(200));
}

void Simulation::connect() {
  retire();
  if (living_.size() >= world_.scenario.peers_at_once) return;
  Link& link = world_.links.emplace_back();
  link.id = static_cast<int>(world_.links.size() - 1);
  link.address = static_cast<std::uint32_t>(world_.random.below(world_.scenario.addresses));
  link.capacity =
      world_.random.between(world_.scenario.buffer_bytes_min, world_.scenario.buffer_bytes_max);
  link.is_proxied = world_.random.chance(world_.scenario.proxied);
  link.is_tls = world_.random.chance(world_.scenario.tls);
  if (link.is_tls && world_.random.chance(2)) world_.tls->change_certificate();
  Post& post = posts_[world_.random.below(posts_.size())];
  world_.note(What::kConnect, index_of(post), link.id);
  post.loop->connect(link);
  living_.push_back(&peers_.emplace_back(world_, ledger_, link, post.missed));
}

void Simulation::retire() {
  std::erase_if(living_, [this](const Peer* peer) {
    const Link& link = world_.links[static_cast<std::size_t>(peer->number())];
    return link.stage == Link::Stage::kGone && (peer->is_over() || peer->has_vanished());
  });
}

void Simulation::turn(Post& post) {
  world_.now += microseconds(world_.random.between(1, 30));
  const std::uint64_t completions = post.loop->completions();
  const std::uint64_t sent = post.counters->bytes_sent.read();
  post.worker->turn();
  if (world_.is_sabotaged(Sabotage::kMiscounts)) post.counters->deliveries.add();
  post.loop->begin_wait();
  const auto came = static_cast<std::int64_t>(post.loop->completions() - completions);
  world_.note(What::kTurn, index_of(post), -1, came,
              static_cast<std::int64_t>(post.counters->bytes_sent.read() - sent));
  audit(post);
  // Nothing came, nothing was said, and it wants to be woken at once?
  const bool is_empty =
      came == 0 && post.counters->bytes_sent.read() == sent && wakes_at(post) <= world_.now;
  post.empty_turns = is_empty ? post.empty_turns + 1 : 0;
  if (post.empty_turns > kEmptyTurnsMax) fail(post, "wakes again and again for nothing");
}

// ---- time

Instant Simulation::wakes_at(const Post& post) const {
  return post.loop->wakes_at(post.worker->not_before(), post.worker->next_due());
}

Instant Simulation::next_wake() const {
  Instant next = kNever;
  for (const Post& post : posts_) next = std::min(next, wakes_at(post));
  return next;
}

// Those who keep up do so before time passes: what the server does to them is never for being late.
void Simulation::settle() {
  for (Peer* peer : living_) peer->keep_up();
}

// Whether anyone had something to do.
bool Simulation::give_turns() {
  bool had = false;
  for (Post& post : posts_) {
    if (world_.trace.failed() || wakes_at(post) > world_.now) continue;
    turn(post);
    had = true;
  }
  return had;
}

// A worker is never late for what it wanted to be woken for, but in a jump.
void Simulation::pass_time() {
  settle();
  const bool is_behind = std::any_of(posts_.begin(), posts_.end(),
                                     [](const Post& post) { return post.loop->is_behind(); });
  // Worst when much is waiting to be read, and not again before the last one is made up for.
  const unsigned odds = world_.scenario.odds.jump * (next_wake() == world_.now ? 5 : 1);
  if (!is_behind && world_.strikes_in_thousand(odds)) return jump();
  if (give_turns()) return;
  const Instant wake = next_wake();
  const Duration pause =
      Duration(world_.random.between(1, static_cast<std::uint64_t>(world_.scenario.pace.count())));
  const bool to_the_end = wake != kNever && world_.random.chance(20);
  world_.now = to_the_end ? wake : std::min(wake, world_.now + pause);
}

// The machine stood still, or gave the time to others.
void Simulation::jump() {
  const Duration length =
      milliseconds(world_.random.between(1, 1u << world_.random.between(1, 15)));
  world_.now += length;
  world_.excused += length;
  world_.note(What::kJump, -1, -1, std::chrono::duration_cast<milliseconds>(length).count());
}

void Simulation::run_until(Instant end) {
  while (world_.now < end && !world_.trace.failed()) {
    settle();
    if (!give_turns()) world_.now = std::min(end, next_wake());
  }
}

// ---- the end

void Simulation::drain() {
  if (world_.is_draining) return;
  world_.is_draining = true;
  world_.drains_since = world_.now;
  world_.note(What::kDrain, -1, -1);
  admission_.drain();
  for (Post& post : posts_) {
    post.worker->drain();
    post.loop->begin_wait();
    audit(post);
  }
}

void Simulation::calm_down() {
  world_.is_calm = true;
  world_.note(What::kCalm, -1, -1);
  for (Link& link : world_.links) link.capacity = std::max<std::size_t>(link.capacity, 64 * 1024);
  run_until(world_.now + milliseconds(400));
  // What this moment began is ended with it.
  settle();
  for (int i = 0; i < 1'000 && give_turns(); ++i) settle();
  for (Peer& peer : peers_) peer.check_complete();
  for (const Post& post : posts_) {
    if (post.mail_taken != post.mail.size()) fail(post, "mail was left lying");
    if (!post.due.empty() && post.due.begin()->first <= world_.now)
      fail(post, "a window does not end");
  }
}

void Simulation::finish() {
  if (world_.trace.failed()) return;
  const server::WorkerSettings& settings = world_.scenario.settings;
  drain();
  const Instant due = world_.drains_since + settings.drain_time + settings.close_timeout;
  run_until(std::max(world_.now, due) + milliseconds(200));
  check_end();
  // Deadlines that were met are still to be looked at once. Then there is nothing to wake for.
  run_until(world_.now + seconds(120));
  if (!world_.trace.failed() && next_wake() != kNever)
    world_.trace.fail("an empty worker does not sleep");
}

Outcome Simulation::outcome() const {
  Outcome outcome;
  outcome.failure = world_.trace.failure();
  outcome.hash = world_.trace.hash();
  outcome.events = world_.trace.events();
  if (!outcome.failure.empty()) outcome.last_events = world_.trace.last();
  for (const Post& post : posts_) {
    const server::Counters& counters = *post.counters;
    for (std::size_t i = 0; i < outcome.refused.size(); ++i)
      outcome.refused[i] += counters.refused[i].read();
    for (std::size_t i = 0; i < outcome.ended.size(); ++i)
      outcome.ended[i] += counters.ended[i].read();
    outcome.accepted += counters.accepted.read();
    outcome.opened += counters.opened.read();
    outcome.requests += counters.requests.read();
    outcome.messages += counters.messages_received.read();
    outcome.deliveries += counters.deliveries.read();
    outcome.dropped += counters.messages_dropped.read();
    outcome.conflated += counters.messages_conflated.read();
    outcome.lost += counters.publications_lost.read();
    outcome.agreed += counters.deflate_agreed.read();
    outcome.deflated_bytes += counters.deflated_payload_bytes.read();
    outcome.gathered += post.gathered;
    outcome.tls.add({.established = counters.tls_established.read(),
                     .resumed = counters.tls_resumed.read(),
                     .attached = counters.tls_attached.read(),
                     .waited = counters.tls_waited.read(),
                     .old_refused = counters.tls_old_refused.read(),
                     .failed = counters.tls_failed.read()});
  }
  if (world_.tls != nullptr)
    outcome.tls.add(
        {.key_updates = world_.tls->key_updates, .notified_ends = world_.tls->notified_ends});
  return outcome;
}

void TlsOutcome::add(const TlsOutcome& other) {
  established += other.established;
  resumed += other.resumed;
  attached += other.attached;
  waited += other.waited;
  old_refused += other.old_refused;
  failed += other.failed;
  key_updates += other.key_updates;
  notified_ends += other.notified_ends;
}

void Outcome::add(const Outcome& other) {
  for (std::size_t i = 0; i < refused.size(); ++i) refused[i] += other.refused[i];
  for (std::size_t i = 0; i < ended.size(); ++i) ended[i] += other.ended[i];
  hash = (hash ^ other.hash) * 0x9e3779b97f4a7c15;
  events += other.events;
  accepted += other.accepted;
  opened += other.opened;
  requests += other.requests;
  messages += other.messages;
  deliveries += other.deliveries;
  dropped += other.dropped;
  conflated += other.conflated;
  lost += other.lost;
  agreed += other.agreed;
  deflated_bytes += other.deflated_bytes;
  gathered += other.gathered;
  tls.add(other.tls);
}

}  // namespace holdfast::simulator
