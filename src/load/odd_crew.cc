#include "load/odd_crew.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "load/error_name.h"
#include "load/message.h"
#include "load/random_mix.h"
#include "net/clock.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"

namespace holdfast::load {
namespace {

constexpr Duration kWatchEvery = std::chrono::milliseconds(100);
constexpr Duration kTurn = std::chrono::milliseconds(2);

// From now on the socket's own kernel throws away what arrives, before TCP sees it.
bool drop_everything_that_arrives(int descriptor) {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &drop};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

std::string key_of(std::uint64_t ordinal) {
  const std::array<std::uint64_t, 2> random = {mix(ordinal), mix(~ordinal)};
  return protocol::make_key(
      std::span<const std::byte, 16>(reinterpret_cast<const std::byte*>(random.data()), 16));
}

}  // namespace

std::string_view name(Oddity oddity) {
  switch (oddity) {
    case Oddity::kSilent:
      return "silent";
    case Oddity::kMute:
      return "mute";
    case Oddity::kSlow:
      return "slow";
  }
  return "";
}

OddCrew::OddCrew(const OddCrewPlan& plan, const Baton& baton, LiveCounters& live)
    : plan_(plan), baton_(baton), live_(live) {
  peers_.reserve(plan.count);
  if (!plan.talks) return;
  const std::uint32_t size = plan.options->message_bytes;
  frame_.resize(protocol::kFrameHeaderBytesMax + size);
  const protocol::MaskKey mask{};
  const std::size_t head =
      protocol::write_frame_header(frame_.data(), protocol::Opcode::kText, true, size, &mask);
  frame_.resize(head + size);
  write_message(MutableBytes(frame_).subspan(head), {0, 0, Instant()});
}

OddCrew::~OddCrew() { leave(); }

OddCrewOutcome OddCrew::run() {
  Baton::Step step;
  Instant talking_since = kNever;
  Instant watch_at = net::monotonic_now() + kWatchEvery;
  while (step.phase != Phase::kLeave) {
    const Phase before = std::exchange(step, baton_.read()).phase;
    const Instant now = net::monotonic_now();
    if (step.phase == Phase::kOpen) begin_due(now);
    go_on_opening(now);
    if (step.phase == Phase::kHold && before != Phase::kHold) talking_since = now;
    if (step.phase == Phase::kHold && plan_.talks) talk(talking_since);
    if (now >= watch_at) watch_at = watch();
    publish_live(step);
    std::this_thread::sleep_for(kTurn);
  }
  watch();
  leave();
  publish_live(step);
  return std::move(outcome_);
}

void OddCrew::publish_live(Baton::Step step) {
  const bool opening = tried_ < plan_.count || !attempts_.empty();
  live_.opened.store(outcome_.opened, std::memory_order_relaxed);
  live_.refused.store(refused_, std::memory_order_relaxed);
  live_.open.store(outcome_.opened - outcome_.dropped, std::memory_order_relaxed);
  live_.phase_done.store(step.phase != Phase::kOpen || !opening, std::memory_order_relaxed);
  live_.step.store(step.number, std::memory_order_release);
}

// ---- opening

void OddCrew::begin_due(Instant now) {
  if (!pacer_ && plan_.rate > 0) pacer_.emplace(now, plan_.rate);
  while (tried_ < plan_.count && attempts_.size() < plan_.options->in_flight) {
    if (pacer_ && pacer_->next_due() > now) return;
    if (pacer_) pacer_->advance();
    const std::uint64_t ordinal = plan_.first_ordinal + tried_++;
    auto opening = OddOpening::begin(
        plan_.sources->address_of(ordinal), plan_.target->address, plan_.oddity == Oddity::kSlow,
        now + plan_.options->open_timeout, request_of(ordinal), plan_.tls);
    if (opening) {
      attempts_.push_back(std::move(*opening));
    } else {
      refused(opening.error().message);
    }
  }
}

void OddCrew::go_on_opening(Instant now) {
  for (std::size_t i = 0; i < attempts_.size();) {
    OddOpening& attempt = attempts_[i];
    const auto progress = attempt.go_on(now, engine_, outcome_.tls);
    if (progress && *progress == OddOpening::Progress::kUnderWay) {
      ++i;
      continue;
    }
    progress ? opened(attempt) : refused(progress.error().message);
    attempt = std::move(attempts_.back());
    attempts_.pop_back();
  }
}

void OddCrew::opened(OddOpening& attempt) {
  const int descriptor = attempt.descriptor();
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&local), &length) != 0 ||
      (plan_.oddity == Oddity::kSilent && !drop_everything_that_arrives(descriptor))) {
    return refused(error_name(errno));
  }
  outcome_.last_answer = net::monotonic_now();
  ++outcome_.opened;
  peers_.push_back({attempt.take(),
                    net::Address::from(reinterpret_cast<const sockaddr*>(&local), length),
                    outcome_.last_answer, 0, plan_.talks ? attempt.take_codec() : nullptr});
}

void OddCrew::refused(std::string_view reason) {
  outcome_.last_answer = net::monotonic_now();
  ++refused_;
  ++outcome_.refused[std::string(reason)];
}

std::string OddCrew::request_of(std::uint64_t ordinal) const {
  return protocol::handshake_request(plan_.target->authority, plan_.target->path, key_of(ordinal));
}

// ---- watching

bool OddCrew::is_dropped(const Peer& peer) const {
  if (const auto established = server_side_.is_established(plan_.target->address, peer.local))
    return !*established;
  pollfd seen{peer.descriptor, POLLRDHUP, 0};
  return ::poll(&seen, 1, 0) > 0 && (seen.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// Returns when to look again: a sweep over many peers takes its time, and may have a tenth of it.
Instant OddCrew::watch() {
  const Instant began = net::monotonic_now();
  for (Peer& peer : peers_) {
    if (peer.descriptor < 0 || !is_dropped(peer)) continue;
    ++outcome_.dropped;
    outcome_.dropped_after.record(net::monotonic_now() - peer.last_byte);
    reset_and_close(std::exchange(peer.descriptor, -1));
  }
  const Instant ended = net::monotonic_now();
  return ended + std::max<Duration>(kWatchEvery, (ended - began) * 9);
}

void OddCrew::talk(Instant since) {
  const auto due =
      static_cast<std::uint64_t>(static_cast<double>((net::monotonic_now() - since).count()) / 1e9 *
                                 plan_.options->message_rate);
  for (Peer& peer : peers_) {
    for (; peer.descriptor >= 0 && peer.said < due; ++peer.said) {
      if (say(peer)) continue;
      peer.said = std::max(peer.said, due);
      break;
    }
  }
}

// False: it says no more now, or ever.
bool OddCrew::say(Peer& peer) {
  Bytes bytes = frame_;
  if (peer.codec != nullptr) {
    // A record is sealed once: one that found no room is what goes out next.
    if (peer.sealed.empty()) peer.codec->seal(engine_, {&bytes, 1}, peer.sealed);
    bytes = peer.sealed;
  }
  const ssize_t sent =
      ::send(peer.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) {
    peer.sealed.clear();
    return true;
  }
  // Half a frame cannot be taken back: this one has said all it will.
  if (sent > 0) peer.said = UINT64_MAX;
  return false;
}

void OddCrew::leave() {
  attempts_.clear();
  for (Peer& peer : peers_) {
    if (peer.descriptor >= 0) reset_and_close(std::exchange(peer.descriptor, -1));
  }
}

}  // namespace holdfast::load
