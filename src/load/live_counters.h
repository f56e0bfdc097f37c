#pragma once

// What a worker lets the conductor see while it works: each number written by its worker alone,
// once a turn, read by anyone. Not a consistent picture, and not the report: that is made of the
// workers' tallies at the end.

#include <atomic>
#include <cstdint>

namespace holdfast::load {

struct alignas(64) LiveCounters {
  std::atomic<std::uint32_t> step{0};  // of the baton that was followed
  std::atomic<bool> phase_done{
      false};  // kOpen: every one is open or refused; kDrop, kLeave: none is open
  std::atomic<bool> failed{false};  // this worker gave up; its result says why
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> server_closed{0};
  std::atomic<std::uint64_t> open{0};
  std::atomic<std::uint64_t> pings{0};
  std::atomic<std::uint64_t> tls_full{0};
  std::atomic<std::uint64_t> tls_resumed{0};
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> received{0};
};

// The sum over all workers, at about one moment.
struct LiveSum {
  std::uint32_t step = 0;   // the least
  bool phase_done = false;  // all of them
  bool failed = false;      // any of them
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
  std::uint64_t lost = 0;
  std::uint64_t server_closed = 0;
  std::uint64_t open = 0;
  std::uint64_t pings = 0;
  std::uint64_t tls_full = 0;
  std::uint64_t tls_resumed = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
};

}  // namespace holdfast::load
