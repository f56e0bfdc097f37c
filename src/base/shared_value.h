#pragma once

// A value that one thread replaces now and then while others read it.

#include <memory>
#include <mutex>
#include <utility>

namespace holdfast {

// Readers keep what they took for as long as they like; the old value goes with its last reader.
// Any thread. Costs a lock for the time that a pointer takes to copy: for what is read once for a
// connection, not once for a message.
//
// Not std::atomic<std::shared_ptr>: in libstdc++ 12 its load() lets go with relaxed order, so that
// a store() may run before the reader's copy is done, which ThreadSanitizer rightly reports.
template <typename T>
class SharedValue {
 public:
  explicit SharedValue(std::shared_ptr<T> first) : value_(std::move(first)) {}

  std::shared_ptr<T> load() const {
    const std::lock_guard hold(mutex_);
    return value_;
  }
  // `next` leaves with the old value: parameters end after the lock.
  void store(std::shared_ptr<T> next) {
    const std::lock_guard hold(mutex_);
    value_.swap(next);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> value_;
};

}  // namespace holdfast
