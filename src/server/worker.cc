#include "server/worker.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/check.h"
#include "protocol/event_stream.h"

namespace holdfast::server {
namespace {

// Below so many arrivals a second, a turn for each costs too little to make anyone wait.
constexpr std::uint32_t kBusyArrivalsPerSecond = 250;
constexpr Duration kWindow = std::chrono::seconds(1);
// A missed pong may be noticed so much later: most are noticed by the sweep that comes anyway.
constexpr Duration kPongSlack = std::chrono::milliseconds(100);
constexpr int kReviewsPerTurn = 256;
constexpr Duration kDrainStep = std::chrono::milliseconds(20);

// A path that takes larger bodies than others says so itself.
WorkerSettings with_bodies_of(const Router& router, WorkerSettings settings) {
  settings.http.body_bytes_max_at = [&router](std::string_view path) -> std::uint64_t {
    const auto route = router.find(path);
    return route ? router.handler(*route).body_bytes_max() : 0;
  };
  return settings;
}

}  // namespace

Worker::Worker(const WorkerSettings& settings, const Router& router, Admission& admission,
               net::Loop& loop, broker::Mailbox& mailbox, broker::Broker& broker,
               std::uint32_t number, Counters& counters)
    : settings_(with_bodies_of(router, settings)),
      router_(router),
      admission_(admission),
      loop_(loop),
      mailbox_(mailbox),
      broker_(broker),
      counters_(counters),
      table_(settings.descriptors),
      transmit_(settings.descriptors),
      number_(number),
      topics_(settings.descriptors, this),
      rates_(settings.descriptors, settings.message_rate_max, settings.byte_rate_max),
      belongings_(number, settings.descriptors),
      lender_(settings.session),
      keepalive_(table_, settings.ping_interval),
      heads_(settings.handshake_timeout),
      pongs_(settings.pong_timeout),
      closes_(settings.close_timeout),
      address_places_(admission.per_address() != nullptr
                          ? static_cast<AddressCounts::Place*>(
                                std::calloc(settings.descriptors, sizeof(AddressCounts::Place)))
                          : nullptr,
                      std::free) {}

Worker::~Worker() = default;

void Worker::turn() {
  loop_.wait(not_before(), next_due());
  turn_started_ = loop_.now();
  if (behind_since_ == caught_up_) behind_since_ = turn_started_;
  if (!loop_.is_behind()) caught_up_ = behind_since_ = turn_started_;
  has_newcomers_ = false;
  while (auto completion = loop_.next()) dispatch(*completion);
  take_mail();
  run_windows();
  run_deadlines();
  if (review_cursor_) run_review();
  if (draining_) run_drain();
  begin_waiting();
  flush();
  leave_newcomers_to_others();
  give_back_memory();
  note_turn();
}

void Worker::dispatch(const net::Completion& completion) {
  using Kind = net::Completion::Kind;
  ++window_count_;
  const int descriptor = completion.descriptor;
  switch (completion.kind) {
    case Kind::kAccepted:
      return accepted(descriptor, completion.listener);
    case Kind::kAcceptFailed:
      counters_.of(Refusal::kDescriptors).add();
      return;
    case Kind::kReceived: {
      Connection& connection = table_[descriptor];
      counters_.bytes_received.add(completion.bytes.size());
      if (connection.tls) return take_ciphertext(descriptor, connection, completion.bytes);
      return take_plaintext(descriptor, connection, completion.bytes);
    }
    case Kind::kClosed:
      if (table_[descriptor].state != State::kFree)
        peer_gone(descriptor, table_[descriptor], completion.error);
      return;
    case Kind::kWritable:
      resumed_.push_back(descriptor);
      return;
    case Kind::kWoken:
    case Kind::kConnected:
      return;
  }
}

void Worker::run_deadlines() {
  const Instant now = loop_.now();
  keepalive_.run(now, [&](int descriptor, Connection& connection) {
    // Nobody answers a comment. One who is gone does not acknowledge it either: unsent_timeout.
    if (connection.is_event_stream()) {
      connection.clear(Connection::kPinged);
      return queue(descriptor, connection, as_bytes(protocol::kEventComment), -1);
    }
    counters_.pings_sent.add();
    pongs_.push(descriptor, now);
    queue(descriptor, connection, protocol::kPingFrame, -1);
  });
  while (const auto due = pongs_.pop_due(judged_at(settings_.pong_timeout))) {
    Connection& connection = table_[due->descriptor];
    if (connection.state != State::kOpen || !connection.has(Connection::kPinged) ||
        connection.since != due->since)
      continue;
    if (reads_towards_its_ping(connection)) {
      await_pong(due->descriptor, connection);
      continue;
    }
    counters_.pongs_missed.add();
    end_silent(due->descriptor, connection);
  }
  while (const auto due = heads_.pop_due(judged_at(settings_.handshake_timeout))) {
    Connection& connection = table_[due->descriptor];
    const bool waits =
        connection.state == State::kRequest || connection.state == State::kProxyHeader;
    if (waits && connection.since == due->since) expire_head(due->descriptor, connection);
  }
  while (const auto due = closes_.pop_due(now)) {
    Connection& connection = table_[due->descriptor];
    const bool waits = connection.state == State::kClosing || connection.state == State::kLingering;
    if (waits && connection.since == due->since) {
      release(due->descriptor, connection, static_cast<Ending>(connection.ending), 1006);
    }
  }
}

// The ping lies behind what waits for a slow reader. As long as it reads some of that it is there.
bool Worker::reads_towards_its_ping(const Connection& connection) {
  return connection.busy != nullptr && connection.busy->took &&
         ticks_since(*connection.busy->took, connection.since) > 0;
}

// From now on, for pong_timeout.
void Worker::await_pong(int descriptor, Connection& connection) {
  connection.since = tick_of(loop_.now());
  pongs_.push(descriptor, loop_.now());
}

// A peer is late by the clock of a turn that had heard all: after a stall of this machine its
// answer may lie there, unread. Where a worker stays behind, that goes on for as long as the peer
// was given in the first place.
Instant Worker::judged_at(Duration patience) const {
  const Instant now = loop_.now();
  return now - behind_since_ <= patience ? caught_up_ : now;
}

void Worker::drain() {
  if (draining_) return;
  draining_ = true;
  drain_started_ = loop_.clock();
  for (Listener& listener : listeners_)
    loop_.close(std::exchange(listener.descriptor, net::Descriptor{-1}));
}

// So many in a turn that those who wait for theirs do not notice.
void Worker::run_review() {
  int& at = *review_cursor_;
  for (int looked_at = 0; at < table_.end() && looked_at < kReviewsPerTurn; ++at) {
    if (table_[at].state != State::kOpen) continue;
    ++looked_at;
    Peer peer(*this, at);
    router_.handler(table_[at].route).review(peer);
  }
  if (at >= table_.end()) review_cursor_.reset();
}

// Walks the table once in drain_time, evenly.
void Worker::run_drain() {
  const Duration elapsed = loop_.now() - drain_started_;
  const bool over = elapsed >= settings_.drain_time;
  // Before the walk: one that is told only now, after a stall, is to hear it.
  if (elapsed >= settings_.drain_time + settings_.close_timeout) cut_those_closing();
  const int end = table_.end();
  const int target =
      over ? end
           : static_cast<int>(static_cast<double>(end) * static_cast<double>(elapsed.count()) /
                              static_cast<double>(settings_.drain_time.count()));
  for (; drain_cursor_ < target; ++drain_cursor_) {
    Connection& connection = table_[drain_cursor_];
    if (connection.state == State::kOpen) {
      close(drain_cursor_, router_.handler(connection.route).drain_code(), "server is going away",
            Ending::kDrained);
    } else if (connection.state == State::kRequest || connection.state == State::kProxyHeader) {
      drain_request(drain_cursor_, connection);
    }
  }
  // What was still in its handshake when the walk passed comes after it.
  if (over) drain_cursor_ = 0;
}

// A drain does not wait for anybody longer than for one that does not answer.
void Worker::cut_those_closing() {
  for (int descriptor = 0; descriptor < table_.end(); ++descriptor) {
    Connection& connection = table_[descriptor];
    if (connection.state != State::kClosing && connection.state != State::kLingering) continue;
    release(descriptor, connection, static_cast<Ending>(connection.ending), 1006);
  }
}

Instant Worker::next_due() const {
  Instant due =
      std::min({keepalive_.next_due(), heads_.next_due(), closes_.next_due(), windows_.next_due()});
  if (const Instant pong_due = pongs_.next_due(); pong_due != kNever)
    due = std::min(due, pong_due + kPongSlack);
  if (review_cursor_) due = loop_.now();
  if (draining_ && !is_empty()) due = std::min(due, loop_.now() + kDrainStep);
  if (tls_ != nullptr) due = std::min(due, handshake_due());
  return due;
}

// With keepalive alone to do, arrivals of a moment are taken together: pongs have no hurry, and a
// turn for each costs more than the pong itself. As soon as there are messages, nobody waits; nor
// do newcomers, whose request comes right behind them.
Instant Worker::not_before() const {
  if (!is_busy_ || draining_ || has_newcomers_ || loop_.is_behind() || loop_.now() < prompt_until_)
    return Instant();
  return turn_started_ + settings_.idle_batch;
}

void Worker::note_turn() {
  const Instant now = loop_.clock();
  const Duration length = now - turn_started_;
  counters_.turns.add();
  counters_.turn_nanoseconds.add(static_cast<std::uint64_t>(length.count()));
  const auto microseconds =
      static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::microseconds>(length).count());
  const auto bucket =
      static_cast<std::size_t>(microseconds <= 1 ? 0 : std::bit_width(microseconds - 1));
  counters_.turn_lengths[std::min(bucket, kTurnBuckets - 1)].add();
  if (now - window_started_ < kWindow) return;
  const double seconds = std::chrono::duration<double>(now - window_started_).count();
  is_busy_ = window_count_ > kBusyArrivalsPerSecond * seconds;
  window_started_ = now;
  window_count_ = 0;
}

}  // namespace holdfast::server
