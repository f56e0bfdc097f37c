#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "net/transport.h"

namespace holdfast::net {
namespace {

int result_of(ssize_t returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

class SyscallTransport final : public Transport {
 public:
  void receive(std::span<ReceiveOperation> operations) override {
    for (ReceiveOperation& operation : operations) {
      operation.result =
          result_of(::recv(operation.descriptor, operation.into, operation.capacity, MSG_DONTWAIT));
    }
  }

  void send(std::span<SendOperation> operations) override {
    for (SendOperation& operation : operations) {
      if (operation.count == 1) {
        operation.result =
            result_of(::send(operation.descriptor, operation.pieces->iov_base,
                             operation.pieces->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL));
        continue;
      }
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(operation.pieces);
      message.msg_iovlen = operation.count;
      operation.result =
          result_of(::sendmsg(operation.descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
    }
  }

  void accept(int listener, std::span<int> results) override {
    for (std::size_t i = 0; i < results.size(); ++i) {
      results[i] = result_of(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (results[i] >= 0 || results[i] == -ECONNABORTED) continue;
      // The next call would say the same.
      for (std::size_t rest = i + 1; rest < results.size(); ++rest) results[rest] = -EAGAIN;
      return;
    }
  }

  void watch(int epoll, std::uint32_t events, std::span<int> descriptors) override {
    for (int& descriptor : descriptors) {
      epoll_event event{};
      event.events = events;
      event.data.u64 = static_cast<std::uint32_t>(descriptor);
      if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) descriptor = -errno;
    }
  }

  void close(std::span<const int> descriptors) override {
    for (const int descriptor : descriptors) ::close(descriptor);
  }

  std::string_view name() const override { return "epoll"; }
};

}  // namespace

std::unique_ptr<Transport> make_syscall_transport() { return std::make_unique<SyscallTransport>(); }

}  // namespace holdfast::net
