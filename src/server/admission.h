#pragma once

// Who may come in: limits that all workers share.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "server/counters.h"

namespace holdfast::server {

struct AdmissionLimits {
  std::uint64_t connections_max;
  std::uint32_t per_address_max;         // 0: no limit
  std::uint32_t handshakes_per_second_max;  // 0: no limit
};

// Any thread; relaxed atomics alone.
class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits);

  // A connection asks to come in at `now` from an address with this hash. Nothing returned: it is counted until leave().
  std::optional<Refusal> enter(Instant now, std::uint32_t address_hash);
  void leave(std::uint32_t address_hash);

  bool looks_at_addresses() const { return per_address_ != nullptr; }
  std::uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  std::uint64_t connections_max() const { return limits_.connections_max; }
  void drain() { draining_.store(true, std::memory_order_relaxed); }
  bool is_draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  bool take_handshake(Instant now);

  static constexpr std::uint32_t kBuckets = 1u << 20;

  AdmissionLimits limits_;
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<bool> draining_{false};
  // Addresses by hash. Two that share a bucket (one in a million) share their limit: the price of counting without a lock.
  std::unique_ptr<std::atomic<std::uint32_t>[]> per_address_;
  // The second under way and what was let in during it: second << 32 | count.
  std::atomic<std::uint64_t> handshakes_{0};
};

}  // namespace holdfast::server
