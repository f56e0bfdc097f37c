#include "load/odd_crew.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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
#include "protocol/http_response.h"

namespace holdfast::load {
namespace {

constexpr Duration kWatchEvery = std::chrono::milliseconds(100);
constexpr std::uint32_t kOpensPerTurnMax = 64;

template <class Value>
void set(int descriptor, int level, int option, const Value& value) {
  setsockopt(descriptor, level, option, &value, sizeof value);
}

// From now on the socket's own kernel throws away what arrives, before TCP sees it.
bool drop_everything_that_arrives(int descriptor) {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &drop};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void vanish(int descriptor) {
  set(descriptor, SOL_SOCKET, SO_LINGER, linger{1, 0});
  ::close(descriptor);
}

// Closes the socket again unless it is taken.
class Opening {
 public:
  explicit Opening(int family) : descriptor_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Opening() {
    if (descriptor_ >= 0) vanish(descriptor_);
  }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
  int get() const { return descriptor_; }
  int take() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

tl::unexpected<Error> failed() { return failure(std::string(error_name(errno)), errno); }

// Sends the request and reads the answer; blocking, within the socket's time.
Result<void> shake_hands(int descriptor, const Target& target, std::string_view key) {
  const std::string request = protocol::handshake_request(target.authority, target.path, key);
  if (::send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return failed();
  protocol::HttpLimits limits;
  protocol::HttpResponseParser parser(&limits);
  while (!parser.head_done()) {
    std::array<std::byte, 1024> buffer;
    const ssize_t size = ::recv(descriptor, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return failure("timeout of the answer");
    if (size < 0) return failed();
    if (size == 0) return failure("closed without an answer");
    Bytes input(buffer.data(), static_cast<std::size_t>(size));
    if (parser.feed(input) == protocol::HttpProgress::kError) return failure("malformed answer");
  }
  if (parser.response().status != 101)
    return failure(fmt::format("HTTP {}", parser.response().status));
  return {};
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
  Baton::Step seen;
  Instant talking_since = kNever;
  Instant watch_at = net::monotonic_now() + kWatchEvery;
  while (true) {
    const Baton::Step step = baton_.read();
    const Instant now = net::monotonic_now();
    if (step.phase == Phase::kOpen) open_due(now);
    if (step.phase == Phase::kHold && seen.phase != Phase::kHold) talking_since = now;
    if (step.phase == Phase::kLeave) break;
    if (step.phase == Phase::kHold && plan_.talks) talk(talking_since);
    if (now >= watch_at) {
      watch();
      // A sweep over many peers takes its time: it may have a tenth of it.
      const Instant after = net::monotonic_now();
      watch_at = after + std::max<Duration>(kWatchEvery, (after - now) * 9);
    }
    seen = step;
    publish_live(step);
    const bool opening = step.phase == Phase::kOpen && tried_ < plan_.count && !pacer_;
    if (!opening) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  watch();
  leave();
  publish_live(baton_.read());
  return std::move(outcome_);
}

void OddCrew::publish_live(Baton::Step step) {
  live_.opened.store(outcome_.opened, std::memory_order_relaxed);
  live_.refused.store(refused_, std::memory_order_relaxed);
  live_.open.store(outcome_.opened - outcome_.dropped, std::memory_order_relaxed);
  live_.phase_done.store(step.phase != Phase::kOpen || tried_ == plan_.count,
                         std::memory_order_relaxed);
  live_.step.store(step.number, std::memory_order_release);
}

// ---- opening

void OddCrew::open_due(Instant now) {
  if (!pacer_ && plan_.rate > 0) pacer_.emplace(now, plan_.rate);
  for (std::uint32_t i = 0; i < kOpensPerTurnMax && tried_ < plan_.count; ++i) {
    if (pacer_ && pacer_->next_due() > now) return;
    if (pacer_) pacer_->advance();
    auto peer = open(plan_.first_ordinal + tried_++);
    outcome_.last_answer = net::monotonic_now();
    if (peer) {
      peers_.push_back(*peer);
      ++outcome_.opened;
    } else {
      ++refused_;
      ++outcome_.refused[peer.error().message];
    }
  }
}

Result<OddCrew::Peer> OddCrew::open(std::uint64_t ordinal) {
  Opening socket(plan_.target->address.family());
  if (socket.get() < 0) return failed();
  const auto timeout =
      std::chrono::duration_cast<std::chrono::microseconds>(plan_.options->open_timeout).count();
  const timeval limit{timeout / 1'000'000, timeout % 1'000'000};
  set(socket.get(), SOL_SOCKET, SO_SNDTIMEO, limit);
  set(socket.get(), SOL_SOCKET, SO_RCVTIMEO, limit);
  set(socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (plan_.oddity == Oddity::kSlow)
    set(socket.get(), SOL_SOCKET, SO_RCVBUF, 1);  // the kernel makes it its least
  const net::Address from = plan_.sources->address_of(ordinal);
  const net::Address& to = plan_.target->address;
  if (::bind(socket.get(), from.get(), from.length()) != 0) return failed();
  if (::connect(socket.get(), to.get(), to.length()) != 0)
    return errno == EINPROGRESS ? failure("timeout connecting") : failed();
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) return failed();
  if (auto shaken = shake_hands(socket.get(), *plan_.target, key_of(ordinal)); !shaken)
    return tl::unexpected(shaken.error());
  const Instant last_byte = net::monotonic_now();
  if (plan_.oddity == Oddity::kSilent && !drop_everything_that_arrives(socket.get()))
    return failed();
  return Peer{socket.take(), net::Address::from(reinterpret_cast<const sockaddr*>(&local), length),
              last_byte, 0};
}

// ---- watching

bool OddCrew::is_dropped(const Peer& peer) const {
  if (const auto established = server_side_.is_established(plan_.target->address, peer.local))
    return !*established;
  pollfd seen{peer.descriptor, POLLRDHUP, 0};
  return ::poll(&seen, 1, 0) > 0 && (seen.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void OddCrew::watch() {
  for (Peer& peer : peers_) {
    if (peer.descriptor < 0 || !is_dropped(peer)) continue;
    ++outcome_.dropped;
    outcome_.dropped_after.record(net::monotonic_now() - peer.last_byte);
    vanish(std::exchange(peer.descriptor, -1));
  }
}

void OddCrew::talk(Instant since) {
  const auto due =
      static_cast<std::uint64_t>(static_cast<double>((net::monotonic_now() - since).count()) / 1e9 *
                                 plan_.options->message_rate);
  for (Peer& peer : peers_) {
    for (; peer.descriptor >= 0 && peer.said < due; ++peer.said) {
      const ssize_t sent =
          ::send(peer.descriptor, frame_.data(), frame_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent == static_cast<ssize_t>(frame_.size())) continue;
      // Half a frame cannot be taken back: this one has said all it will.
      peer.said = sent > 0 ? UINT64_MAX - 1 : due;
      break;
    }
  }
}

void OddCrew::leave() {
  for (Peer& peer : peers_) {
    if (peer.descriptor >= 0) vanish(std::exchange(peer.descriptor, -1));
  }
}

}  // namespace holdfast::load
