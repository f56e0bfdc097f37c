#include "simulator/simulated_loop.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace holdfast::simulator {
namespace {

using Stage = Link::Stage;

// As the product's loop does after it ran out of descriptors.
constexpr Duration kListenerRest = std::chrono::milliseconds(100);
constexpr std::size_t kReadMax = 64 * 1024;
constexpr net::Descriptor kFirstFree = SimulatedLoop::kTlsProxyListener + 1;

net::Descriptor listener_of(const Link& link) {
  if (link.is_tls)
    return link.is_proxied ? SimulatedLoop::kTlsProxyListener : SimulatedLoop::kTlsListener;
  return link.is_proxied ? SimulatedLoop::kProxyListener : SimulatedLoop::kListener;
}

// The status of a response that begins here; 0 where none does.
int status_of(Bytes bytes) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  const std::string_view text = as_text(bytes);
  int status = 0;
  if (text.starts_with(kStart))
    std::from_chars(text.data() + kStart.size(), text.data() + text.size(), status);
  return status;
}

}  // namespace

SimulatedLoop::SimulatedLoop(World& world, int worker, net::Waker& waker)
    : world_(world),
      worker_(worker),
      waker_(waker),
      now_(world.now),
      holders_(world.scenario.settings.descriptors) {}

// ---- the simulation's side

void SimulatedLoop::connect(Link& link) {
  link.worker = worker_;
  if (!is_listening_) {
    link.stage = Stage::kGone;
    link.is_reset = true;
    return;
  }
  backlog_.push_back(&link);
}

bool SimulatedLoop::is_woken() const {
  if (!may_be_woken_) return false;
  pollfd waker{waker_.descriptor(), POLLIN, 0};
  may_be_woken_ = ::poll(&waker, 1, 0) == 1;
  return may_be_woken_;
}

void SimulatedLoop::begin_wait() {
  if (!closes_.empty()) flush();
}

Instant SimulatedLoop::wakes_at(Instant not_before, Instant deadline) const {
  if (is_woken()) return world_.now;
  const bool listens = is_listening_ && !backlog_.empty();
  if (listens && rests_until_ > world_.now) deadline = std::min(deadline, rests_until_);
  const bool has_arrivals = (listens && rests_until_ <= world_.now) ||
                            std::any_of(held_.begin(), held_.end(), [](const Link* link) {
                              return link->is_readable() || link->is_writable();
                            });
  return std::max(world_.now, has_arrivals ? std::min(not_before, deadline) : deadline);
}

Link* SimulatedLoop::link_of(net::Descriptor descriptor) const {
  if (descriptor < kFirstFree || static_cast<std::size_t>(descriptor) >= holders_.size())
    return nullptr;
  return holders_[static_cast<std::size_t>(descriptor)];
}

std::vector<Link*> SimulatedLoop::take_closed() { return std::exchange(closed_, {}); }

// ---- arrivals

void SimulatedLoop::wait(Instant, Instant) {
  if (!ready_.empty()) world_.trace.fail("the worker waits before it has taken all completions");
  if (!is_clock_stopped_) now_ = world_.now;
  if (world_.is_sabotaged(Sabotage::kStopsClock)) is_clock_stopped_ = true;
  is_dispatching_ = true;
  if (is_woken()) ready_.push_back({Source::kWaker, nullptr});
  if (is_listening_ && rests_until_ <= now_) {
    for (std::size_t i = 0; i < backlog_.size(); ++i)
      ready_.push_back({Source::kListener, nullptr});
  }
  for (Link* link : held_) {
    if (link->is_writable()) ready_.push_back({Source::kWritable, link});
    if (link->is_readable()) ready_.push_back({Source::kReadable, link});
  }
  is_behind_ = ready_.size() > world_.scenario.events_max;
  if (ready_.empty()) return;
  // The kernel tells in the order of arrival, which is any; what is left over it tells the next
  // time.
  std::rotate(ready_.begin(),
              ready_.begin() + static_cast<std::ptrdiff_t>(world_.random.below(ready_.size())),
              ready_.end());
  if (is_behind_) ready_.resize(world_.scenario.events_max);
}

std::optional<net::Completion> SimulatedLoop::next() {
  std::fill(buffer_.begin(), buffer_.end(), std::byte{0xDD});  // it was lent until now
  while (!ready_.empty()) {
    const Ready ready = ready_.front();
    ready_.pop_front();
    std::optional<net::Completion> completion;
    switch (ready.source) {
      case Source::kWaker:
        waker_.acknowledge();
        completion = net::Completion{net::Completion::Kind::kWoken};
        break;
      case Source::kListener:
        if (!backlog_.empty() && rests_until_ <= now_) completion = accept();
        break;
      case Source::kReadable:
        completion = receive(*ready.link);
        break;
      case Source::kWritable:
        if (ready.link->stage != Stage::kHeld &&
            !world_.strikes(world_.scenario.odds.stale_completion))
          break;
        ready.link->wants_writable = false;
        world_.note(What::kWritable, worker_, ready.link->id);
        completion = net::Completion{net::Completion::Kind::kWritable, ready.link->descriptor};
        break;
    }
    if (!completion) continue;
    ++completions_;
    return completion;
  }
  is_dispatching_ = false;
  return std::nullopt;
}

net::Descriptor SimulatedLoop::lowest_free() const {
  const auto free = std::find(holders_.begin() + kFirstFree, holders_.end(), nullptr);
  return free == holders_.end() ? -1 : static_cast<net::Descriptor>(free - holders_.begin());
}

std::optional<net::Completion> SimulatedLoop::accept() {
  const net::Descriptor descriptor = lowest_free();
  if (descriptor < 0 || world_.strikes(world_.scenario.odds.accept_fails)) {
    ++accept_failures_;
    rests_until_ = now_ + kListenerRest;
    const int error = descriptor < 0 || world_.random.chance(50) ? EMFILE : ENOMEM;
    world_.note(What::kAcceptFailed, worker_, -1, error);
    return net::Completion{net::Completion::Kind::kAcceptFailed, -1, kListener, error, {}};
  }
  Link* link = backlog_.front();
  backlog_.pop_front();
  ++accepted_;
  link->stage = Stage::kHeld;
  link->descriptor = descriptor;
  link->facts.accepted_at = link->facts.http_at = link->facts.received_at = now_;
  holders_[static_cast<std::size_t>(descriptor)] = link;
  held_.push_back(link);
  // What came with it is told right behind it, as it is with a socket that is watched from its
  // first moment.
  if (link->is_readable() && world_.random.chance(70)) ready_.push_back({Source::kReadable, link});
  world_.note(What::kAccept, worker_, link->id, descriptor);
  if (world_.is_sabotaged(Sabotage::kLeaksDescriptor)) return std::nullopt;
  return net::Completion{net::Completion::Kind::kAccepted, descriptor, listener_of(*link), 0, {}};
}

std::optional<net::Completion> SimulatedLoop::receive(Link& link) {
  const bool is_stale = link.stage != Stage::kHeld;
  if (is_stale && (link.arrived.empty() || !world_.strikes(world_.scenario.odds.stale_completion)))
    return std::nullopt;
  if (!link.arrived.empty()) {
    std::size_t size = std::min(link.arrived.size(), kReadMax);
    if (world_.strikes(world_.scenario.odds.short_read))
      size = world_.random.between(1, std::min<std::size_t>(size, 200));
    const Bytes front = as_bytes(link.arrived).first(size);
    buffer_.assign(front.begin(), front.end());
    if (world_.is_sabotaged(Sabotage::kDamagesInput)) buffer_.back() ^= std::byte{1};
    buffer_.shrink_to_fit();  // so that a sanitizer sees who reads past the end
    link.arrived.erase(0, size);
    bytes_read_ += size;
    link.facts.bytes_read += size;
    if (!is_stale) link.facts.received_at = now_;
    if (link.is_readable() && world_.random.chance(70))
      ready_.push_front({Source::kReadable, &link});
    world_.note(What::kDeliver, worker_, link.id, static_cast<std::int64_t>(size),
                static_cast<std::int64_t>(link.arrived.size()));
    return net::Completion{net::Completion::Kind::kReceived, link.descriptor, -1, 0, buffer_};
  }
  if (!link.is_readable()) return std::nullopt;
  link.end_told = true;
  world_.note(What::kEndTold, worker_, link.id, link.failure);
  if (world_.is_sabotaged(Sabotage::kOverlooksEnd)) return std::nullopt;
  return net::Completion{net::Completion::Kind::kClosed, link.descriptor, -1, link.failure, {}};
}

// ---- departures

Link* SimulatedLoop::require(net::Descriptor descriptor, std::string_view what) {
  Link* link = link_of(descriptor);
  if (link == nullptr) {
    world_.trace.fail(fmt::format("worker {}: {} of descriptor {}, which is not open", worker_,
                                  what, descriptor));
  } else if (link->stage != Stage::kHeld) {
    world_.trace.fail(
        fmt::format("worker {}: {} of descriptor {} after its close", worker_, what, descriptor));
    return nullptr;
  }
  return link;
}

void SimulatedLoop::send(net::Descriptor descriptor, Bytes bytes, std::uint32_t tag) {
  send(descriptor, {&bytes, 1}, tag);
}

void SimulatedLoop::send(net::Descriptor descriptor, std::span<const Bytes> pieces,
                         std::uint32_t tag) {
  Link* link = require(descriptor, "send");
  if (link == nullptr) return;
  if (link->is_shut)
    world_.trace.fail(
        fmt::format("worker {}: a send to peer {} after the end of its stream", worker_, link->id));
  if (pieces.empty() || pieces.size() > kPiecesPerSendMax)
    world_.trace.fail("a send of no piece, or of too many");
  for (const Bytes piece : pieces) {
    const int status = status_of(piece);
    if (link->facts.was_opened || status == 0) continue;
    link->facts.http_at = now_;
    link->facts.was_refused |= status >= 400;
    link->facts.was_answered |= status >= 200 && status < 400;
  }
  sends_.push_back({link, {pieces.begin(), pieces.end()}, tag});
}

// What was sealed is never sealed again (a nonce would be used twice), and nothing comes before it.
void SimulatedLoop::check_records(Link& link, const Send& send) {
  for (const Bytes piece : send.pieces) {
    const std::string_view records = as_text(piece);
    const std::size_t again = std::min(records.size(), link.offered.size() - link.offered_again);
    if (records.substr(0, again) !=
        std::string_view(link.offered).substr(link.offered_again, again)) {
      world_.trace.fail(
          fmt::format("worker {}: peer {} is offered other records than before", worker_, link.id));
    }
    link.offered += records.substr(again);
    link.offered_again += records.size();
  }
}

void SimulatedLoop::take(const Send& send) {
  Link& link = *send.link;
  if (link.is_tls) check_records(link, send);
  std::size_t offered = 0;
  for (const Bytes piece : send.pieces) offered += piece.size();
  if (std::find(blocked_.begin(), blocked_.end(), &link) != blocked_.end()) {
    unsent_.push_back({link.descriptor, send.tag, 0, EAGAIN});
    return;
  }
  if (world_.strikes_in_thousand(world_.scenario.odds.send_dies)) link.failure = ETIMEDOUT;
  if (link.failure != 0) {
    world_.note(What::kSendFailed, worker_, link.id, link.failure);
    blocked_.push_back(&link);
    unsent_.push_back({link.descriptor, send.tag, 0, link.failure});
    return;
  }
  std::size_t room =
      std::min(offered, link.capacity - std::min(link.capacity, link.outbound.size()));
  if (world_.strikes(world_.scenario.odds.short_write)) room = world_.random.below(room + 1);
  put(link, send.pieces, room);
  if (link.is_tls) {
    link.offered.erase(0, room);
    link.offered_again -= room;
  }
  bytes_taken_ += room;
  world_.note(What::kSend, worker_, link.id, static_cast<std::int64_t>(offered),
              static_cast<std::int64_t>(room));
  if (link.facts.was_short && room > 0) link.facts.read_on_at = now_;
  link.facts.was_short = room < offered;
  if (room < offered) link.facts.short_at = now_;
  if (room > 0) link.facts.took_at = now_;
  if (room == offered) return;
  blocked_.push_back(&link);
  unsent_.push_back({link.descriptor, send.tag, static_cast<std::uint32_t>(room), EAGAIN});
}

// On the way to the peer: the first `bytes` of these.
void SimulatedLoop::put(Link& link, std::vector<Bytes> pieces, std::size_t bytes) {
  if (pieces.size() > 1 && world_.is_sabotaged(Sabotage::kSwapsPieces))
    std::swap(pieces[0], pieces[1]);
  const std::size_t before = link.outbound.size();
  for (const Bytes piece : pieces) {
    const std::size_t size = std::min(bytes, piece.size());
    link.outbound += as_text(piece.first(size));
    bytes -= size;
  }
  if (link.outbound.size() == before) return;
  if (world_.is_sabotaged(Sabotage::kSaysTwice)) link.outbound += link.outbound.substr(before);
  if (world_.is_sabotaged(Sabotage::kLosesByte)) link.outbound.pop_back();
}

std::span<const net::Unsent> SimulatedLoop::flush() {
  look_at_waker();  // the worker may have woken itself in this turn
  for (const Send& send : sends_) take(send);
  for (const Send& send : sends_) send.link->offered_again = 0;
  sends_.clear();
  blocked_.clear();
  for (Link* link : shutdowns_) {
    link->is_shut = true;
    link->facts.shut_at = now_;
    world_.note(What::kShutdown, worker_, link->id);
  }
  shutdowns_.clear();
  for (Link* link : closes_) end_close(*link);
  closes_.clear();
  reported_.swap(unsent_);
  unsent_.clear();
  return reported_;
}

void SimulatedLoop::want_writable(net::Descriptor descriptor) {
  if (world_.is_sabotaged(Sabotage::kForgetsWritable)) return;
  if (Link* link = require(descriptor, "want_writable")) link->wants_writable = true;
}

void SimulatedLoop::shutdown_send(net::Descriptor descriptor) {
  if (Link* link = require(descriptor, "shutdown_send")) shutdowns_.push_back(link);
}

void SimulatedLoop::close(net::Descriptor descriptor) {
  if (descriptor > kListener && descriptor < kFirstFree) return;  // all are closed together
  if (descriptor == kListener) {
    is_listening_ = false;
    for (Link* link : backlog_) {
      link->stage = Stage::kGone;
      link->is_reset = true;
    }
    backlog_.clear();
    return;
  }
  begin_close(descriptor, false);
}

void SimulatedLoop::reset(net::Descriptor descriptor) { begin_close(descriptor, true); }

void SimulatedLoop::begin_close(net::Descriptor descriptor, bool with_reset) {
  Link* link = require(descriptor, with_reset ? "reset" : "close");
  if (link == nullptr || world_.is_sabotaged(Sabotage::kForgetsClose)) return;
  world_.note(with_reset ? What::kReset : What::kClose, worker_, link->id, descriptor,
              static_cast<std::int64_t>(link->arrived.size()));
  link->stage = Stage::kClosing;
  link->is_reset = with_reset;
  closes_.push_back(link);
  closed_.push_back(link);
}

void SimulatedLoop::end_close(Link& link) {
  holders_[static_cast<std::size_t>(link.descriptor)] = nullptr;
  std::erase(held_, &link);
  link.stage = Stage::kGone;
  link.is_shut = true;
  // tcp(7): a close with unread bytes resets, and what was on its way may be lost.
  if (!link.arrived.empty() || link.failure != 0) link.is_reset = true;
  if (link.is_reset && world_.random.chance(50)) link.outbound.clear();
}

Result<net::Address> SimulatedLoop::peer_address(net::Descriptor descriptor) const {
  const Link* link = link_of(descriptor);
  if (link == nullptr) return failure("not open", EBADF);
  return net::Address::ipv4(0x0A000001 + (link->is_proxied ? kBalancerAddress : link->address),
                            1024);
}

// Time goes on while a turn runs, a little.
Instant SimulatedLoop::clock() const {
  return std::max(now_, world_.now) + std::chrono::microseconds(3);
}

}  // namespace holdfast::simulator
