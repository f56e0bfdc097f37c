#pragma once

// Many small system calls at once. Each function does what the same number of non-blocking calls
// would do, in their order, and returns when all are done; only the price of crossing into the
// kernel differs.

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"

namespace holdfast::net {

struct ReceiveOperation {
  int descriptor;
  std::byte* into;
  std::uint32_t capacity;
  int result;  // bytes; 0 at the end of the stream; -errno
};

struct SendOperation {
  int descriptor;
  const iovec* pieces;  // alive until send() returns
  std::uint32_t count;
  std::uint32_t bytes;  // of all pieces together
  std::uint32_t tag;    // the caller's own
  int result;           // bytes taken, or -errno
};

class Transport {
 public:
  // At most so many operations in one call.
  static constexpr std::size_t kBatch = 256;

  virtual ~Transport() = default;
  virtual void receive(std::span<ReceiveOperation> operations) = 0;
  virtual void send(std::span<SendOperation> operations) = 0;
  // Each result becomes a new non-blocking descriptor or -errno.
  virtual void accept(int listener, std::span<int> results) = 0;
  // EPOLL_CTL_ADD of each descriptor with these events, the descriptor being the event's data. A
  // failure becomes -errno in place.
  virtual void watch(int epoll, std::uint32_t events, std::span<int> descriptors) = 0;
  virtual void close(std::span<const int> descriptors) = 0;
  virtual std::string_view name() const = 0;
};

// One call each: works everywhere.
std::unique_ptr<Transport> make_syscall_transport();
// One io_uring_enter(2) for a batch. Fails where io_uring is forbidden or lacks what is needed
// (Linux 6.1 and newer have it).
Result<std::unique_ptr<Transport>> make_uring_transport();

}  // namespace holdfast::net
