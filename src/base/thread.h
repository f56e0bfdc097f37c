#pragma once

// A thread of one's own, where the system may have none to give.

#include <system_error>
#include <thread>
#include <utility>

#include "base/result.h"

namespace holdfast {

// std::thread, whose constructor throws where a limit of threads is reached (pids.max of a cgroup,
// `ulimit -u`, kernel.threads-max). The error says why, as the system has it.
template <typename Run>
Result<std::thread> start_thread(Run&& run) {
  try {
    return std::thread(std::forward<Run>(run));
  } catch (const std::system_error& error) {
    return failure(error.code().message(), error.code().value());
  }
}

}  // namespace holdfast
