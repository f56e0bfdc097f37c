#pragma once

// The only way one thread rouses another's loop.

#include <atomic>
#include <memory>

#include "base/result.h"

namespace holdfast::net {

// An eventfd with a flag in front of it, so that many wakes between two turns cost one system call.
// Create all wakers before the first worker takes its private descriptor table: then the descriptor
// has the same number in every table.
class Waker {
 public:
  static Result<std::unique_ptr<Waker>> create();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Any thread. The loop that has this waker reports kWoken once, soon.
  void wake();
  // The loop's thread, before it looks into what the waker announces.
  void acknowledge();
  int descriptor() const { return descriptor_; }

 private:
  explicit Waker(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  std::atomic<bool> pending_{false};
};

}  // namespace holdfast::net
