#pragma once

// What several threads may ask for, and one alone may do at a time.

#include <mutex>
#include <utility>

namespace holdfast {

class OneAtATime {
 public:
  // Calls `act`, after what others have under way, and returns what it returns. Any thread; not
  // from within `act`.
  template <typename Act>
  auto run(Act&& act) {
    const std::lock_guard hold(mutex_);
    return std::forward<Act>(act)();
  }

 private:
  std::mutex mutex_;
};

}  // namespace holdfast
