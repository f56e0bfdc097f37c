// How sockets come to be: listening, connecting, and the loop itself.

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/clock.h"
#include "net/descriptor_table.h"
#include "net/epoll_loop.h"

namespace holdfast::net {
namespace {

tl::unexpected<Error> close_and_fail(int descriptor, std::string what) {
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  return failure(fmt::format("{}: {}", what, std::strerror(error)), error);
}

void set(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof value);
}
void switch_on(int descriptor, int level, int option) { set(descriptor, level, option, 1); }

}  // namespace

Result<Descriptor> EpollLoop::listen(const Address& address, const ListenOptions& options) {
  const int descriptor = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const std::string what = fmt::format("cannot listen on {}", address.to_string());
  if (descriptor < 0) return close_and_fail(-1, what);
  switch_on(descriptor, SOL_SOCKET, SO_REUSEADDR);
  if (options.reuse_port) switch_on(descriptor, SOL_SOCKET, SO_REUSEPORT);
  // Accepted sockets inherit it: a frame is written once and whole, so there is nothing to wait
  // for.
  switch_on(descriptor, IPPROTO_TCP, TCP_NODELAY);
  if (address.family() == AF_INET6)
    set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only ? 1 : 0);
  const auto user_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.user_timeout).count();
  if (user_timeout > 0)
    set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout));
  if (::bind(descriptor, address.get(), address.length()) != 0 ||
      ::listen(descriptor, options.backlog) != 0) {
    return close_and_fail(descriptor, what);
  }
  const Listener listener{descriptor, 4, Instant(), false, options_.emergency_answer};
  if (watch_listener(listener) != 0) return close_and_fail(descriptor, what);
  flags(descriptor) = 0;
  listeners_.push_back(listener);
  return descriptor;
}

Result<Descriptor> EpollLoop::listen_shared(Descriptor descriptor) {
  const Listener listener{descriptor, 4, Instant(), true, options_.emergency_answer};
  if (watch_listener(listener) != 0)
    return close_and_fail(descriptor, "cannot watch a shared listener");
  flags(descriptor) = 0;
  listeners_.push_back(listener);
  return descriptor;
}

void EpollLoop::answer_emergencies_with(Descriptor listener, Bytes answer) {
  for (Listener& one : listeners_) {
    if (one.descriptor == listener) one.emergency_answer = answer;
  }
}

Result<Descriptor> EpollLoop::connect(const std::optional<Address>& from, const Address& to) {
  const int descriptor = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return close_and_fail(-1, "socket");
  if (static_cast<std::uint32_t>(descriptor) >= descriptors_max_) {
    errno = EMFILE;
    return close_and_fail(descriptor, "socket");
  }
  switch_on(descriptor, IPPROTO_TCP, TCP_NODELAY);
  if (from) {
    switch_on(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    if (::bind(descriptor, from->get(), from->length()) != 0) {
      return close_and_fail(descriptor, fmt::format("cannot bind to {}", from->to_string()));
    }
  }
  if (::connect(descriptor, to.get(), to.length()) != 0 && errno != EINPROGRESS) {
    return close_and_fail(descriptor, fmt::format("cannot connect to {}", to.to_string()));
  }
  flags(descriptor) = kConnecting;
  to_watch_.push_back(descriptor);
  return descriptor;
}

Instant EpollLoop::clock() const { return monotonic_now(); }
std::int64_t EpollLoop::unix_seconds() const { return unix_seconds_now(); }

Result<Address> EpollLoop::local_address(Descriptor descriptor) const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return failure(std::string("getsockname: ") + std::strerror(errno), errno);
  }
  return Address::from(reinterpret_cast<const sockaddr*>(&address), length);
}

Result<Address> EpollLoop::peer_address(Descriptor descriptor) const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return failure(std::string("getpeername: ") + std::strerror(errno), errno);
  }
  return Address::from(reinterpret_cast<const sockaddr*>(&address), length);
}

std::optional<TcpFacts> EpollLoop::tcp_facts(Descriptor descriptor) const {
  return net::tcp_facts(descriptor);
}

Result<std::unique_ptr<Loop>> make_loop(const LoopOptions& options, Waker* waker) {
  std::unique_ptr<Transport> transport;
  if (options.io != Io::kEpoll) {
    auto uring = make_uring_transport();
    if (!uring && options.io == Io::kUring) return tl::unexpected(uring.error());
    if (uring) transport = std::move(*uring);
  }
  if (transport == nullptr) transport = make_syscall_transport();
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return close_and_fail(-1, "epoll_create1");
  // A limit raised later would give numbers beyond the table; the hard limit is the last that can
  // be met.
  const auto descriptors_max =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptor_limit().hard, 1u << 30));
  return std::unique_ptr<Loop>(
      std::make_unique<EpollLoop>(options, waker, epoll, std::move(transport), descriptors_max));
}

}  // namespace holdfast::net
