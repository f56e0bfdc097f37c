#include "doctor/worker_count.h"

#include <algorithm>
#include <cmath>

namespace holdfast::doctor {
namespace {

// A worker's descriptors that are no connections: epoll, ring, listener, log, reserve, peers that
// are being refused; and, on top, the waker of every worker, which is in every table.
constexpr std::uint64_t kOwnDescriptors = 129;
constexpr std::uint64_t kRoomMin = 16;

}  // namespace

std::uint64_t connections_held(std::uint64_t workers, std::uint64_t limit) {
  const std::uint64_t own = kOwnDescriptors + workers;
  const std::uint64_t room = limit > own + kRoomMin ? limit - own : kRoomMin;
  if (workers == 1) return room;
  const auto d = static_cast<double>(room);
  return workers * static_cast<std::uint64_t>(std::max(1.0, d - 5 * std::sqrt(d)));
}

std::uint64_t workers_for(std::uint64_t connections, std::uint64_t limit, std::uint64_t at_least) {
  std::uint64_t workers = std::max<std::uint64_t>(1, at_least);
  while (workers <= kWorkersMax && connections_held(workers, limit) < connections) ++workers;
  return workers;
}

std::uint64_t open_files_for(std::uint64_t connections, std::uint64_t workers) {
  std::uint64_t low = 0;  // too low, always
  std::uint64_t high = 2 * connections + 1024 + workers;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (connections_held(workers, middle) >= connections ? high : low) = middle;
  }
  return high;
}

}  // namespace holdfast::doctor
