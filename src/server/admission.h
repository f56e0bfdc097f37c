#pragma once

// Who may come in: limits that all workers share.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "server/address_counts.h"
#include "server/counters.h"

namespace holdfast::server {

struct AdmissionLimits {
  std::uint64_t connections_max;
  std::uint32_t per_address_max;            // 0: no limit
  std::uint32_t handshakes_per_second_max;  // 0: no limit
};

// Any thread; relaxed atomics, and the locks of AddressCounts where there is a limit per address.
class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits);

  // A connection asks to come in at `now`. Nothing returned: it is counted until leave().
  std::optional<Refusal> enter(Instant now);
  void leave() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  // One that enter() let in at `entered` is turned away for a reason of its own: it must not have
  // cost others their place in handshakes_per_second_max.
  void give_back_handshake(Instant entered);

  // Null without a limit per address. Apart from enter(): who a peer is may be known only later,
  // when a proxy has said so.
  AddressCounts* per_address() { return per_address_.get(); }
  std::uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  std::uint64_t connections_max() const { return limits_.connections_max; }
  void drain() { draining_.store(true, std::memory_order_relaxed); }
  bool is_draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  bool take_handshake(Instant now);

  AdmissionLimits limits_;
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<bool> draining_{false};
  std::unique_ptr<AddressCounts> per_address_;
  // The second under way and what was let in during it: second << 32 | count.
  std::atomic<std::uint64_t> handshakes_{0};
};

}  // namespace holdfast::server
