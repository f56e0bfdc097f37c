#include "net/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace holdfast::net {

Result<std::unique_ptr<Waker>> Waker::create() {
  const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) return failure(std::string("eventfd: ") + std::strerror(errno), errno);
  return std::unique_ptr<Waker>(new Waker(descriptor));
}

Waker::~Waker() { ::close(descriptor_); }

void Waker::wake() {
  if (pending_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  // An eventfd's write fails only when its counter is full, and then the sleeper is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof one);
}

void Waker::acknowledge() {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(descriptor_, &count, sizeof count);
  // After the read: a wake() from here on writes again; what it announced before is seen by the
  // caller's look.
  pending_.exchange(false, std::memory_order_acq_rel);
}

}  // namespace holdfast::net
