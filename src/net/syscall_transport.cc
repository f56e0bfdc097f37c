#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "net/transport.h"

#ifdef __SANITIZE_THREAD__
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void __tsan_read_range(void* from, unsigned long size);
extern "C" void __tsan_write_range(void* from, unsigned long size);
#endif

namespace holdfast::net {
namespace {

int result_of(ssize_t returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

#ifdef __SANITIZE_THREAD__
// ThreadSanitizer knows a descriptor by its number, whichever table it is in, so that a receive
// here would race with another worker's close of a namesake (cmake/tsan.suppressions). It must not
// look at the number in these calls, but it must look at the bytes.
struct NumberUnwatched {
  NumberUnwatched() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~NumberUnwatched() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};
void watch_read(const iovec& piece) { __tsan_read_range(piece.iov_base, piece.iov_len); }
void watch_write(std::byte* into, int size) {
  if (size > 0) __tsan_write_range(into, static_cast<unsigned long>(size));
}
#else
struct NumberUnwatched {
  NumberUnwatched() {}
};
void watch_read(const iovec&) {}
void watch_write(std::byte*, int) {}
#endif

class SyscallTransport final : public Transport {
 public:
  void receive(std::span<ReceiveOperation> operations) override {
    for (ReceiveOperation& operation : operations) {
      {
        const NumberUnwatched unwatched;
        operation.result = result_of(
            ::recv(operation.descriptor, operation.into, operation.capacity, MSG_DONTWAIT));
      }
      watch_write(operation.into, operation.result);
    }
  }

  void send(std::span<SendOperation> operations) override {
    for (SendOperation& operation : operations) {
      std::for_each_n(operation.pieces, operation.count, watch_read);
      const NumberUnwatched unwatched;
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
