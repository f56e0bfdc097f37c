#pragma once

// How the conductor leads the workers through a run. It alone passes the baton on; every worker
// looks at it once a turn, and says in its live counters how far it has followed.
//
//   kReady ─► kOpen ─► kHold ─► kSettle ─► kLeave
//               ▲        └─► kDrop ─┐            (a storm's rounds)
//               └───────────────────┘

#include <atomic>
#include <cstdint>

namespace holdfast::load {

enum class Phase : std::uint8_t {
  kReady,   // the loop stands; nothing is opened yet
  kOpen,    // open all that are not open
  kHold,    // answer pings, and send what the scenario sends
  kSettle,  // send no more, wait for what is on its way
  kDrop,    // end all at once
  kLeave,   // end all, and finish
};

class Baton {
 public:
  struct Step {
    std::uint32_t number = 0;  // rises by one with each
    Phase phase = Phase::kReady;
    bool operator==(const Step&) const = default;
  };

  // Any thread.
  Step read() const {
    const std::uint64_t value = value_.load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(value >> 8), static_cast<Phase>(value & 0xff)};
  }
  // The conductor only.
  void pass(Phase phase) {
    const std::uint64_t number = (value_.load(std::memory_order_relaxed) >> 8) + 1;
    value_.store(number << 8 | static_cast<std::uint64_t>(phase), std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace holdfast::load
