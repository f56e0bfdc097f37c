// A worker's turn and its phases.

#include "load/worker.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/heap.h"
#include "load/error_name.h"
#include "load/random_mix.h"

namespace holdfast::load {
namespace {

// Paced opens that fall into so short a time share one turn.
constexpr Duration kOpenBatch = std::chrono::milliseconds(4);
constexpr Duration kGoodbyeMax = std::chrono::seconds(2);
// The server may send what it likes to an idle client; beyond this it would be a mistake.
constexpr std::uint32_t kServerMessageBytesMax = 16 * 1024 * 1024;

}  // namespace

Worker::Worker(const WorkerPlan& plan, net::Loop& loop, const Baton& baton, LiveCounters& live)
    : plan_(plan),
      loop_(loop),
      baton_(baton),
      live_(live),
      began_(loop.now()),
      tls_(plan.tls == nullptr ? std::nullopt : std::optional<TlsCrowd>(std::in_place, plan.tls)),
      outbox_(loop, tls_ ? &*tls_ : nullptr),
      tally_(plan.origin),
      opener_(plan.connections),
      parser_(&http_limits_),
      deflater_(protocol::Takeover::kNone, protocol::window_bits_of(plan.options->message_bytes)),
      session_limits_{kServerMessageBytesMax, 65536, plan.options->deflate ? &inflater_ : nullptr},
      random_(mix(plan.seed)),
      publisher_({plan.target, plan.sources->address_of(plan.first_ordinal),
                  plan.options->publish_token, plan.options->message_bytes, plan.run,
                  plan.options->protocol == Speech::kPusher ? &plan.options->pusher_app : nullptr,
                  plan.options->channel_kind},
                 loop, outbox_, tally_.messages, plan.clock) {}

void Worker::turn() {
  const Instant before = loop_.now();
  loop_.wait(not_before(before), deadline());
  while (const auto completion = loop_.next()) dispatch(*completion);
  const Instant now = loop_.now();
  tally_.roll(now);
  follow_baton();
  expire_openings(now);
  open_due(now);
  echo_due(now);
  publish_due(now);
  flush();
  close_those_that_linger(now);
  publish_live();
}

void Worker::flush() {
  for (const Outbox::Failed failed : outbox_.flush()) on_closed(failed.descriptor, failed.error);
}

// ---- phases

void Worker::follow_baton() {
  const Baton::Step step = baton_.read();
  if (step == step_) return;
  const Phase before = step_.phase;
  step_ = step;
  if (before == Phase::kOpen) end_opening();
  if (before == Phase::kHold) end_hold();
  enter(step.phase);
}

void Worker::enter(Phase phase) {
  phase_began_ = loop_.now();
  phase_use_ = thread_use();
  refused_before_ = tally_.refused_count;
  switch (phase) {
    case Phase::kReady:
    case Phase::kSettle:
      return;
    case Phase::kOpen:
      // A storm comes back without a pace: that is what makes it one.
      return opener_.begin(phase_began_, opened_before_ ? 0 : plan_.rate);
    case Phase::kHold:
      return begin_hold();
    case Phase::kDrop:
      outcome_.dropped.push_back(tally_.open);
      return drop_all();
    case Phase::kLeave:
      outcome_.held = tally_.open;
      count_expected_echoes();
      outcome_.published = publisher_.published();
      publisher_.leave();
      return drop_all();
  }
}

void Worker::end_opening() {
  const std::uint32_t left = opener_.give_up();
  for (const Attempt& attempt : attempts_) {
    const ConnectionRecord& record = records_[attempt.descriptor];
    if (record.attempt != attempt.number || !is_under_way(record)) continue;
    tally_.refused("given up");
    forget(attempt.descriptor);
    loop_.reset(attempt.descriptor);
  }
  attempts_.clear();
  in_flight_ = 0;
  // What OpenSSL took for the handshakes.
  if (tls_) give_back_free_memory();
  if (opened_before_) {
    outcome_.returned.push_back(tally_.open);
    outcome_.refusals.push_back(tally_.refused_count - refused_before_);
    return;
  }
  opened_before_ = true;
  outcome_.opened = tally_.opened_count;
  outcome_.never_tried = left;
  outcome_.opening_use = thread_use() - phase_use_;
  outcome_.opening_wall = loop_.now() - phase_began_;
}

void Worker::begin_hold() {
  members_.clear();
  for (net::Descriptor descriptor = 0; descriptor < records_.end(); ++descriptor) {
    ConnectionRecord& record = records_[descriptor];
    if (record.state != State::kOpen) continue;
    record.pings = 0;
    members_.push_back(descriptor);
  }
  outcome_.expecting = members_.size();
  const bool pings = plan_.traffic == Traffic::kClientPing;
  const double rate =
      pings ? 1 / std::chrono::duration<double>(plan_.options->client_ping_interval).count()
            : plan_.options->message_rate;
  if (rate <= 0) return;
  if (plan_.publishes) publisher_.begin(phase_began_, rate);
  if ((pings || plan_.traffic == Traffic::kEcho) && !members_.empty()) {
    // The workers' schedules interleave, or all of them would send at the same moments.
    const double all = rate * static_cast<double>(members_.size());
    const Duration offset(static_cast<std::int64_t>(1e9 / all * plan_.index / plan_.workers));
    echo_pacer_.emplace(phase_began_ + offset, all);
    next_member_ = 0;
  }
}

void Worker::end_hold() {
  const Instant now = loop_.now();
  publisher_.stop(now);
  if (echo_pacer_) {
    // Due, and not sent: late beyond the end.
    for (; echo_pacer_->next_due() < now; echo_pacer_->advance()) {
      tally_.messages.lateness.record(now - echo_pacer_->next_due());
    }
    echo_pacer_.reset();
  }
  // In a storm the last hold counts: it is the long one.
  outcome_.holding_use = thread_use() - phase_use_;
  outcome_.holding_wall = now - phase_began_;
  PingFacts& pings = outcome_.pings = {};
  for (net::Descriptor descriptor = 0; descriptor < records_.end(); ++descriptor) {
    const ConnectionRecord& record = records_[descriptor];
    if (record.state != State::kOpen) continue;
    pings.least =
        pings.connections == 0 ? record.pings : std::min<std::uint64_t>(pings.least, record.pings);
    pings.most = std::max<std::uint64_t>(pings.most, record.pings);
    pings.total += record.pings;
    ++pings.connections;
  }
}

void Worker::drop_all() {
  const bool waits = step_.phase == Phase::kLeave && plan_.options->leave == Leave::kClose;
  for (net::Descriptor descriptor = 0; descriptor < records_.end(); ++descriptor) {
    if (outbox_.full()) flush();
    if (records_[descriptor].state != State::kOpen) continue;
    tally_.left();
    if (plan_.options->leave == Leave::kReset) {
      forget(descriptor);
      loop_.reset(descriptor);
      continue;
    }
    send_close(descriptor, static_cast<std::uint16_t>(protocol::CloseCode::kNormal));
    records_[descriptor].state = State::kClosing;
    if (waits) continue;
    outbox_.say_last_word(descriptor, protocol::TlsAlert::kCloseNotify);
    forget(descriptor);
    loop_.close(descriptor);
  }
  linger_until_ = waits ? loop_.now() + kGoodbyeMax : loop_.now();
}

// A server has so long to answer a goodbye; then we leave anyway.
void Worker::close_those_that_linger(Instant now) {
  if (step_.phase != Phase::kLeave || finished_) return;
  bool any = false;
  for (net::Descriptor descriptor = 0; descriptor < records_.end(); ++descriptor) {
    if (records_[descriptor].state != State::kClosing) continue;
    if (now < linger_until_) {
      any = true;
      break;
    }
    forget(descriptor);
    loop_.reset(descriptor);
  }
  if (any) return;
  flush();
  finished_ = true;
}

bool Worker::phase_done() const {
  switch (step_.phase) {
    case Phase::kReady:
    case Phase::kHold:
      return true;
    case Phase::kSettle:
      return publisher_.at_rest();
    case Phase::kOpen:
      return opener_.done() && in_flight_ == 0;
    case Phase::kDrop:
      return tally_.open == 0;
    case Phase::kLeave:
      return finished_;
  }
  return true;
}

Instant Worker::not_before(Instant now) const {
  const bool only_pings = step_.phase == Phase::kHold && (plan_.traffic == Traffic::kNone ||
                                                          plan_.traffic == Traffic::kClientPing);
  return only_pings ? now + plan_.options->idle_batch : now;
}

Instant Worker::deadline() const {
  Instant due = tally_.second_end();
  if (step_.phase == Phase::kOpen) {
    if (in_flight_ < plan_.options->in_flight && !opener_.done()) {
      const Instant next = opener_.next_due();
      due = std::min(due, next <= loop_.now() ? next : std::max(next, loop_.now() + kOpenBatch));
    }
    if (!attempts_.empty()) due = std::min(due, attempts_.front().deadline);
  }
  if (echo_pacer_) due = std::min(due, echo_pacer_->next_due());
  if (step_.phase == Phase::kLeave) due = std::min(due, linger_until_);
  return std::min(due, publisher_.next_due());
}

void Worker::publish_live() {
  const auto set = [](std::atomic<std::uint64_t>& counter, std::uint64_t value) {
    counter.store(value, std::memory_order_relaxed);
  };
  set(live_.opened, tally_.opened_count);
  set(live_.refused, tally_.refused_count);
  set(live_.lost, tally_.lost_count);
  set(live_.server_closed, tally_.server_closed);
  set(live_.open, tally_.open);
  set(live_.pings, tally_.pings);
  set(live_.tls_full, tally_.tls.full);
  set(live_.tls_resumed, tally_.tls.resumed);
  set(live_.sent, plan_.publishes ? publisher_.published() : tally_.messages.sent);
  set(live_.received, tally_.arrivals);
  live_.phase_done.store(phase_done(), std::memory_order_relaxed);
  live_.step.store(step_.number, std::memory_order_release);
}

WorkerOutcome Worker::take_outcome() {
  CHECK(finished_);
  outcome_.io = loop_.io_name();
  tally_.finish();
  outcome_.tally = std::move(tally_);
  return std::move(outcome_);
}

// ---- what completed

void Worker::dispatch(const net::Completion& completion) {
  const net::Descriptor descriptor = completion.descriptor;
  using Kind = net::Completion::Kind;
  switch (completion.kind) {
    case Kind::kConnected:
      if (tls_ && completion.error == 0) return begin_tls(descriptor);
      if (records_[descriptor].state == State::kPublisher)
        return publisher_.on_connected(descriptor, completion.error);
      return on_connected(descriptor, completion.error);
    case Kind::kReceived:
      return tls_ ? on_ciphertext(descriptor, completion.bytes)
                  : on_plaintext(descriptor, completion.bytes);
    case Kind::kClosed:
      return on_closed(descriptor, completion.error);
    case Kind::kWritable:
      return outbox_.on_writable(descriptor);
    case Kind::kWoken:     // the baton was passed; it is looked at in every turn
    case Kind::kAccepted:  // we do not listen
    case Kind::kAcceptFailed:
      return;
  }
}

void Worker::on_plaintext(net::Descriptor descriptor, MutableBytes bytes) {
  switch (records_[descriptor].state) {
    case State::kHandshaking:
      return on_answer(descriptor, bytes);
    case State::kJoining:
    case State::kOpen:
      return on_frames(descriptor, bytes);
    case State::kPublisher:
      return publisher_.on_received(descriptor, bytes);
    case State::kNone:
    case State::kConnecting:
    case State::kSecuring:
    case State::kClosing:
      return;
  }
}

void Worker::on_closed(net::Descriptor descriptor, int error) {
  switch (records_[descriptor].state) {
    case State::kNone:
      return;
    case State::kSecuring:
      ++tally_.tls.others;
      return refuse(descriptor, error == 0 ? "closed in the TLS handshake" : error_name(error));
    case State::kConnecting:
    case State::kHandshaking:
    case State::kJoining:
      return refuse(descriptor, error == 0 ? "closed without an answer" : error_name(error));
    case State::kOpen:
      lose(descriptor, error == 0 ? "closed without a Close frame" : error_name(error));
      ++tally_.server_closed;
      return loop_.close(descriptor);
    case State::kClosing:
      forget(descriptor);
      return loop_.close(descriptor);
    case State::kPublisher:
      // Of its handshakes it knows nothing: before they are over, it is not connected.
      if (tls_ && !(*tls_)[descriptor].is_established())
        return publisher_.on_connected(descriptor, error == 0 ? ECONNABORTED : error);
      return publisher_.on_closed(descriptor, error);
  }
}

// This connection is no longer ours to count; its descriptor is closed by the caller.
void Worker::forget(net::Descriptor descriptor) {
  ConnectionRecord& record = records_[descriptor];
  if (record.has_session) sessions_.erase(descriptor);
  if (!partial_answers_.empty()) partial_answers_.erase(descriptor);
  outbox_.forget(descriptor);
  record = {};
}

void Worker::lose(net::Descriptor descriptor, std::string_view reason) {
  const std::uint32_t ordinal = records_[descriptor].ordinal;
  tally_.lost(reason);
  forget(descriptor);
  // In a storm a peer that falls out comes back like the others.
  if (plan_.options->scenario == Scenario::kStorm && step_.phase == Phase::kOpen) {
    opener_.retry(ordinal, loop_.now() + plan_.options->retry_delay);
  }
}

}  // namespace holdfast::load
