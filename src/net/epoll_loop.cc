#include "net/epoll_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/clock.h"
#include "net/descriptor_table.h"

namespace holdfast::net {
namespace {

constexpr std::uint32_t kPeerEvents = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr Duration kSleepMax = std::chrono::hours(1);
constexpr Duration kListenerRest = std::chrono::milliseconds(100);
constexpr std::uint32_t kEmergenciesPerTurn = 16;
constexpr std::uint32_t kAskMin = 4;
// Few, so that a burst is shared out before the first to wake has taken it all.
constexpr std::uint32_t kSharedAcceptsPerTurnMax = 16;

bool is_exhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

EpollLoop::EpollLoop(const LoopOptions& options, Waker* waker, int epoll,
                     std::unique_ptr<Transport> transport, std::uint32_t descriptors_max)
    : options_(options),
      waker_(waker),
      epoll_(epoll),
      reserve_(open_reserve()),
      transport_(std::move(transport)),
      descriptors_max_(descriptors_max),
      now_(monotonic_now()),
      // calloc: pages of a large table stay untouched until a descriptor of theirs is used.
      flags_(static_cast<std::uint8_t*>(std::calloc(descriptors_max, 1)), std::free),
      events_(new epoll_event[kEventsMax]),
      slot_width_(options.receive_slot_bytes),
      slots_(new std::byte[slot_width_.memory_bytes()]) {
  CHECK(flags_ != nullptr);
  sends_.reserve(Transport::kBatch);
  pieces_.reserve(kPiecesMax);
  if (waker_ != nullptr) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint32_t>(waker_->descriptor());
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, waker_->descriptor(), &event) == 0);
  }
}

EpollLoop::~EpollLoop() {
  flush();
  for (const Listener& listener : listeners_) ::close(listener.descriptor);
  if (reserve_ >= 0) ::close(reserve_);
  ::close(epoll_);
}

std::uint8_t& EpollLoop::flags(Descriptor descriptor) {
  CHECK(descriptor >= 0 && static_cast<std::uint32_t>(descriptor) < descriptors_max_);
  return flags_[static_cast<std::size_t>(descriptor)];
}

// ---- waiting

// What is left until then; nothing for kNever.
std::optional<timespec> EpollLoop::sleep_until(Instant deadline) const {
  if (deadline == kNever) return std::nullopt;
  // Compared first: from a deadline long ago, as that of what is due at once, nothing can be taken.
  const Duration sleep =
      deadline <= now_ ? Duration(0) : std::min<Duration>(deadline - now_, kSleepMax);
  const auto left = sleep.count();
  return timespec{left / 1'000'000'000, left % 1'000'000'000};
}

// epoll_wait(2) counts in milliseconds: a deadline half a millisecond away would come late, or turn
// idly. Rounded up where the kernel (before 5.11) or a container's profile does not have
// epoll_pwait2(2).
int EpollLoop::wait_for_events(Instant deadline) {
  const std::optional<timespec> sleep = sleep_until(deadline);
  if (has_precise_wait_) {
    const int count =
        epoll_pwait2(epoll_, events_.get(), kEventsMax, sleep ? &*sleep : nullptr, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    has_precise_wait_ = false;
  }
  const auto milliseconds =
      !sleep ? -1 : sleep->tv_sec * 1000 + (sleep->tv_nsec + 999'999) / 1'000'000;
  return epoll_wait(epoll_, events_.get(), kEventsMax, static_cast<int>(milliseconds));
}

void EpollLoop::wait(Instant not_before, Instant deadline) {
  CHECK(ready_next_ == ready_.size() && event_next_ == event_count_);
  if (!closes_.empty() || !to_watch_.empty()) flush();
  now_ = monotonic_now();
  wake_rested_listeners();
  for (const Listener& listener : listeners_) {
    if (listener.rests_until > now_) deadline = std::min(deadline, listener.rests_until);
  }
  if (!unfinished_.empty()) deadline = now_;
  if (const Instant gather_until = std::min(not_before, deadline); gather_until > now_) {
    pollfd waker{waker_ == nullptr ? -1 : waker_->descriptor(), POLLIN, 0};
    const std::optional<timespec> sleep = sleep_until(gather_until);
    ::ppoll(&waker, 1, sleep ? &*sleep : nullptr, nullptr);
    now_ = monotonic_now();
  }
  const int count = wait_for_events(deadline);
  CHECK(count >= 0 || errno == EINTR);
  event_count_ = static_cast<std::size_t>(std::max(count, 0));
  event_next_ = 0;
  unfinished_next_ = 0;
  unfinished_count_ = unfinished_.size();
  now_ = monotonic_now();
}

// ---- arrivals

std::optional<Completion> EpollLoop::next() {
  while (true) {
    if (reading_on_ >= 0) {
      if (auto completion = read_on()) return completion;
    }
    if (ready_next_ < ready_.size()) return ready_[ready_next_++];
    if (receive_next_ < receive_count_) {
      if (auto completion = next_received()) return completion;
      continue;
    }
    if (event_next_ == event_count_ && unfinished_next_ == unfinished_count_) {
      finish_reading();
      return std::nullopt;
    }
    collect();
  }
}

// Takes events until a receive batch is full or none is left.
void EpollLoop::collect() {
  ready_.clear();
  ready_next_ = 0;
  receive_count_ = 0;
  receive_next_ = 0;
  const std::size_t batch = slot_width_.batch();
  while (receive_count_ < batch && unfinished_next_ < unfinished_count_) {
    const Descriptor descriptor = unfinished_[unfinished_next_++];
    if (descriptor < 0) continue;
    receives_[receive_count_++] = {descriptor, nullptr, 0, 0};
  }
  while (receive_count_ < batch && event_next_ < event_count_) take_event(events_[event_next_++]);
  if (receive_count_ > 0) receive_collected();
}

void EpollLoop::take_event(const epoll_event& event) {
  const auto descriptor = static_cast<Descriptor>(event.data.u64);
  if (waker_ != nullptr && descriptor == waker_->descriptor()) {
    waker_->acknowledge();
    ready_.push_back({Completion::Kind::kWoken});
    return;
  }
  std::uint8_t& known = flags(descriptor);
  if ((known & kClosing) != 0) return;
  if (Listener* listener = find_listener(descriptor)) return accept(*listener);

  const bool failed = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
  if ((known & kConnecting) != 0) {
    int error = 0;
    socklen_t length = sizeof error;
    if (failed) getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    if (!failed && (event.events & EPOLLOUT) == 0) return;
    known &= static_cast<std::uint8_t>(~kConnecting);
    ready_.push_back({Completion::Kind::kConnected,
                      descriptor,
                      -1,
                      failed && error == 0 ? ECONNABORTED : error,
                      {}});
    if (failed) return;
  } else if ((known & kWantsWritable) != 0 &&
             (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    known &= static_cast<std::uint8_t>(~kWantsWritable);
    ready_.push_back({Completion::Kind::kWritable, descriptor});
  }
  if ((event.events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) == 0) return;
  if ((event.events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) known |= kHungUp;
  // It is in this batch already (twice would tear the stream's order), or its turn is the next one.
  if ((known & kUnfinished) != 0) return;
  receives_[receive_count_++] = {descriptor, nullptr, 0, 0};
}

void EpollLoop::receive_collected() {
  const std::uint32_t width = slot_width_.width(receive_count_);
  const std::span batch(receives_.data(), receive_count_);
  std::byte* slot = slots_.get();
  for (ReceiveOperation& receive : batch) {
    flags(receive.descriptor) &= static_cast<std::uint8_t>(~kUnfinished);
    receive.into = slot;
    receive.capacity = width;
    slot += width;
  }
  transport_->receive(batch);
  int largest = 0;
  for (const ReceiveOperation& receive : batch) largest = std::max(largest, receive.result);
  slot_width_.learn(static_cast<std::uint32_t>(largest));
}

std::optional<Completion> EpollLoop::next_received() {
  const ReceiveOperation& operation = receives_[receive_next_++];
  const Descriptor descriptor = operation.descriptor;
  if (has(descriptor, kClosing)) return std::nullopt;
  if (operation.result > 0) {
    const auto received = static_cast<std::uint32_t>(operation.result);
    if (received == operation.capacity || has(descriptor, kHungUp)) {
      reading_on_ = descriptor;
      reading_on_bytes_ = received;
    }
    return Completion{Completion::Kind::kReceived, descriptor, -1, 0, {operation.into, received}};
  }
  if (operation.result == -EAGAIN || operation.result == -EINTR) return std::nullopt;
  return Completion{Completion::Kind::kClosed, descriptor, -1, -operation.result, {}};
}

// Reads what did not fit the slot, straight from the socket, until the stream is dry, ended, or the
// peer's share is used up.
std::optional<Completion> EpollLoop::read_on() {
  const Descriptor descriptor = reading_on_;
  reading_on_ = -1;
  if (has(descriptor, kClosing)) return std::nullopt;
  if (reading_on_bytes_ >= options_.receive_bytes_per_turn_max) {
    postpone(descriptor);
    return std::nullopt;
  }
  if (big_buffer_ == nullptr) big_buffer_.reset(new std::byte[kBigBufferBytes]);
  const ssize_t received = ::recv(descriptor, big_buffer_.get(), kBigBufferBytes, MSG_DONTWAIT);
  if (received > 0) {
    reading_on_bytes_ += static_cast<std::uint32_t>(received);
    if (static_cast<std::size_t>(received) == kBigBufferBytes || has(descriptor, kHungUp)) {
      reading_on_ = descriptor;
    }
    return Completion{Completion::Kind::kReceived,
                      descriptor,
                      -1,
                      0,
                      {big_buffer_.get(), static_cast<std::size_t>(received)}};
  }
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  return Completion{Completion::Kind::kClosed, descriptor, -1, received == 0 ? 0 : errno, {}};
}

void EpollLoop::postpone(Descriptor descriptor) {
  if (has(descriptor, kUnfinished)) return;
  flags(descriptor) |= kUnfinished;
  unfinished_.push_back(descriptor);
}

void EpollLoop::finish_reading() {
  unfinished_.erase(unfinished_.begin(),
                    unfinished_.begin() + static_cast<std::ptrdiff_t>(unfinished_count_));
  unfinished_count_ = 0;
  unfinished_next_ = 0;
}

// ---- accepting

EpollLoop::Listener* EpollLoop::find_listener(Descriptor descriptor) {
  for (Listener& listener : listeners_) {
    if (listener.descriptor == descriptor) return &listener;
  }
  return nullptr;
}

// A shared one wakes one thread, not all of them, for each connection (epoll_ctl(2),
// EPOLLEXCLUSIVE, which forbids MOD).
int EpollLoop::watch_listener(const Listener& listener) {
  epoll_event event{};
  event.events = listener.shared ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN;
  event.data.u64 = static_cast<std::uint32_t>(listener.descriptor);
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, listener.descriptor, &event);
}

void EpollLoop::unwatch_listener(const Listener& listener) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, listener.descriptor, nullptr);
}

void EpollLoop::accept(Listener& listener) {
  std::array<int, Transport::kBatch> accepted;
  const std::uint32_t most =
      listener.shared ? kSharedAcceptsPerTurnMax : options_.accepts_per_turn_max;
  std::uint32_t taken = 0;
  while (taken < most) {
    const std::span<int> batch(accepted.data(), std::min(listener.ask, most - taken));
    transport_->accept(listener.descriptor, batch);
    std::size_t got = 0;
    int error = 0;
    for (const int result : batch) {
      if (result >= 0) {
        accepted[got++] = result;
      } else if (is_exhaustion(-result)) {
        error = -result;
      }
    }
    watch_new({accepted.data(), got}, listener.descriptor);
    taken += static_cast<std::uint32_t>(got);
    const bool drained = got < batch.size();
    // Ask for about as many as come: each that is asked for and not there costs the kernel a socket
    // made and thrown away.
    listener.ask = drained ? std::max(kAskMin, static_cast<std::uint32_t>(got))
                           : std::min<std::uint32_t>(listener.ask * 2, Transport::kBatch);
    if (error != 0) {
      ready_.push_back({Completion::Kind::kAcceptFailed, -1, listener.descriptor, error, {}});
      answer_emergency(listener);
      return rest(listener, kListenerRest);
    }
    if (drained) break;
  }
  // The kernel wakes the first idle waiter in the order in which they came: behind the others
  // again, so that each has its turn.
  if (listener.shared && taken > 0) {
    unwatch_listener(listener);
    watch_listener(listener);
  }
}

void EpollLoop::watch_new(std::span<const int> accepted, Descriptor listener) {
  if (accepted.empty()) return;
  std::array<int, Transport::kBatch> watched;
  std::copy(accepted.begin(), accepted.end(), watched.begin());
  transport_->watch(epoll_, kPeerEvents, {watched.data(), accepted.size()});
  for (std::size_t i = 0; i < accepted.size(); ++i) {
    if (watched[i] < 0) {  // no memory for the watch
      ready_.push_back({Completion::Kind::kAcceptFailed, -1, listener, -watched[i], {}});
      ::close(accepted[i]);
      continue;
    }
    flags(accepted[i]) = 0;
    ready_.push_back({Completion::Kind::kAccepted, accepted[i], listener});
  }
}

// The kernel has completed handshakes that nobody can take: give up the reserve to tell a few of
// these peers.
void EpollLoop::answer_emergency(Listener& listener) {
  for (std::uint32_t i = 0; i < kEmergenciesPerTurn && reserve_ >= 0; ++i) {
    ::close(reserve_);
    const int descriptor =
        ::accept4(listener.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      ::send(descriptor, listener.emergency_answer.data(), listener.emergency_answer.size(),
             MSG_DONTWAIT | MSG_NOSIGNAL);
      ::shutdown(descriptor, SHUT_WR);
      // Unread bytes at close() would become an RST that overtakes the answer.
      char unread[4096];
      [[maybe_unused]] const ssize_t ignored =
          ::recv(descriptor, unread, sizeof unread, MSG_DONTWAIT);
      ::close(descriptor);
    }
    reserve_ = open_reserve();
    if (descriptor < 0) return;
  }
}

void EpollLoop::rest(Listener& listener, Duration time) {
  listener.rests_until = now_ + time;
  unwatch_listener(listener);
}

void EpollLoop::rest_listener(Descriptor descriptor, Duration time) {
  if (Listener* listener = find_listener(descriptor)) rest(*listener, time);
}

void EpollLoop::wake_rested_listeners() {
  for (Listener& listener : listeners_) {
    if (listener.rests_until == Instant() || listener.rests_until > now_) continue;
    listener.rests_until = Instant();
    if (reserve_ < 0) reserve_ = open_reserve();
    watch_listener(listener);
  }
}

// ---- departures

SendOperation& EpollLoop::queue_send(Descriptor descriptor, std::uint32_t tag) {
  // A second send must not overtake a first that may come back short: let the first show its result
  // before.
  if (has(descriptor, kSendQueued) || sends_.size() == Transport::kBatch) submit_sends();
  flags(descriptor) |= kSendQueued;
  sends_.push_back({descriptor, nullptr, 0, 0, tag, 0});
  return sends_.back();
}

void EpollLoop::push_piece(SendOperation& operation, Bytes bytes) {
  pieces_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  if (operation.count++ == 0) operation.pieces = &pieces_.back();
  operation.bytes += static_cast<std::uint32_t>(bytes.size());
}

void EpollLoop::send(Descriptor descriptor, Bytes bytes, std::uint32_t tag) {
  if (pieces_.size() == kPiecesMax) submit_sends();
  push_piece(queue_send(descriptor, tag), bytes);
}

void EpollLoop::send(Descriptor descriptor, std::span<const Bytes> pieces, std::uint32_t tag) {
  CHECK(!pieces.empty() && pieces.size() <= kPiecesPerSendMax);
  if (pieces_.size() + pieces.size() > kPiecesMax) submit_sends();
  SendOperation& operation = queue_send(descriptor, tag);
  for (const Bytes piece : pieces) push_piece(operation, piece);
}

void EpollLoop::submit_sends() {
  if (sends_.empty()) return;
  // Those behind a send that failed in this turn are not tried: the caller learns that nothing of
  // them went out.
  std::size_t kept = 0;
  for (SendOperation& operation : sends_) {
    flags(operation.descriptor) &= static_cast<std::uint8_t>(~kSendQueued);
    if (has(operation.descriptor, kSendBlocked)) {
      unsent_.push_back({operation.descriptor, operation.tag, 0, EAGAIN});
    } else {
      sends_[kept++] = operation;
    }
  }
  transport_->send({sends_.data(), kept});
  for (std::size_t i = 0; i < kept; ++i) {
    const SendOperation& operation = sends_[i];
    if (operation.result == static_cast<int>(operation.bytes)) continue;
    flags(operation.descriptor) |= kSendBlocked;
    const bool short_send = operation.result >= 0 || operation.result == -EINTR;
    unsent_.push_back({operation.descriptor, operation.tag,
                       static_cast<std::uint32_t>(std::max(operation.result, 0)),
                       short_send ? EAGAIN : -operation.result});
  }
  sends_.clear();
  pieces_.clear();
}

std::span<const Unsent> EpollLoop::flush() {
  submit_sends();
  for (const Unsent& unsent : unsent_)
    flags(unsent.descriptor) &= static_cast<std::uint8_t>(~kSendBlocked);
  for (const Descriptor descriptor : shutdowns_) ::shutdown(descriptor, SHUT_WR);
  shutdowns_.clear();
  close_queued();
  for (std::size_t done = 0; done < to_watch_.size(); done += Transport::kBatch) {
    const std::size_t count = std::min(to_watch_.size() - done, Transport::kBatch);
    transport_->watch(epoll_, kPeerEvents | EPOLLOUT, {to_watch_.data() + done, count});
  }
  to_watch_.clear();
  reported_.swap(unsent_);
  unsent_.clear();
  return reported_;
}

void EpollLoop::want_writable(Descriptor descriptor) {
  flags(descriptor) |= kWantsWritable;
  epoll_event event{};
  event.events = kPeerEvents | EPOLLOUT;
  event.data.u64 = static_cast<std::uint32_t>(descriptor);
  // MOD looks at the socket anew, so a buffer that was emptied before this call is not missed.
  epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
}

// ---- ends

void EpollLoop::shutdown_send(Descriptor descriptor) { shutdowns_.push_back(descriptor); }

void EpollLoop::close(Descriptor descriptor) {
  std::uint8_t& known = flags(descriptor);
  if ((known & kClosing) != 0) return;
  if ((known & kUnfinished) != 0)
    std::replace(unfinished_.begin(), unfinished_.end(), descriptor, -1);
  known |= kClosing;
  closes_.push_back(descriptor);
}

void EpollLoop::reset(Descriptor descriptor) {
  const linger now{1, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(descriptor);
}

void EpollLoop::close_queued() {
  if (closes_.empty()) return;
  std::erase_if(to_watch_, [&](Descriptor descriptor) { return has(descriptor, kClosing); });
  for (const Listener& listener : listeners_) {
    // What other tables hold open too does not leave an epoll set by being closed here.
    if (listener.shared && has(listener.descriptor, kClosing)) unwatch_listener(listener);
  }
  std::erase_if(listeners_,
                [&](const Listener& listener) { return has(listener.descriptor, kClosing); });
  for (const Descriptor descriptor : closes_) flags(descriptor) = 0;
  for (std::size_t done = 0; done < closes_.size(); done += Transport::kBatch) {
    const std::size_t count = std::min(closes_.size() - done, Transport::kBatch);
    transport_->close({closes_.data() + done, count});
  }
  closes_.clear();
}

}  // namespace holdfast::net
