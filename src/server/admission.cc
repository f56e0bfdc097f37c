#include "server/admission.h"

namespace holdfast::server {
namespace {

std::uint64_t second_of(Instant now) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() &
      0xFFFFFFFF);
}

}  // namespace

Admission::Admission(const AdmissionLimits& limits) : limits_(limits) {
  if (limits.per_address_max > 0)
    per_address_ = std::make_unique<AddressCounts>(limits.per_address_max);
}

bool Admission::take_handshake(Instant now) {
  if (limits_.handshakes_per_second_max == 0) return true;
  const std::uint64_t second = second_of(now);
  std::uint64_t seen = handshakes_.load(std::memory_order_relaxed);
  while (true) {
    const std::uint64_t count = seen >> 32 == second ? seen & 0xFFFFFFFF : 0;
    if (count >= limits_.handshakes_per_second_max) return false;
    if (handshakes_.compare_exchange_weak(seen, second << 32 | (count + 1),
                                          std::memory_order_relaxed))
      return true;
  }
}

// What was taken in an earlier second than is counted now cost those of this one nothing.
void Admission::give_back_handshake(Instant entered) {
  if (limits_.handshakes_per_second_max == 0) return;
  const std::uint64_t second = second_of(entered);
  std::uint64_t seen = handshakes_.load(std::memory_order_relaxed);
  while (seen >> 32 == second && (seen & 0xFFFFFFFF) != 0) {
    if (handshakes_.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) return;
  }
}

std::optional<Refusal> Admission::enter(Instant now) {
  if (is_draining()) return Refusal::kDraining;
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= limits_.connections_max) {
    leave();
    return Refusal::kConnectionsMax;
  }
  if (!take_handshake(now)) {
    leave();
    return Refusal::kRate;
  }
  return std::nullopt;
}

}  // namespace holdfast::server
