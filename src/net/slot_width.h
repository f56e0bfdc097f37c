#pragma once

// How the memory of a receive batch is cut: many narrow slots for peers that say little, few wide
// ones where messages are longer. A message that does not fit its slot costs a second receive and
// the piecing together of its parts, which is more than half of what echoing 1 KiB costs.
//
// The memory stays the same either way, so it stays in the cache, and a loop of idle peers pays
// nothing for it.

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace holdfast::net {

class SlotWidth {
 public:
  static constexpr std::size_t kSlotsMax = 64;
  static constexpr std::uint32_t kWidest = 8;         // times the narrowest
  static constexpr std::uint32_t kQuietBatches = 64;  // before slots become narrower again

  explicit SlotWidth(std::uint32_t narrowest) : narrowest_(narrowest), width_(narrowest) {}

  std::size_t memory_bytes() const { return kSlotsMax * narrowest_; }

  // Receives of one batch, at most.
  std::size_t batch() const { return memory_bytes() / width_; }

  // Bytes of each slot of a batch of `count` receives (1 to batch()): where few peers are ready,
  // they share the memory.
  std::uint32_t width(std::size_t count) const {
    const auto share = static_cast<std::uint32_t>(kSlotsMax / count);
    return std::max(width_, narrowest_ * std::min(share, kWidest));
  }

  // Learns from a batch: `largest` is the most that one of its receives brought.
  void learn(std::uint32_t largest) {
    if (largest >= width_ && width_ < narrowest_ * kWidest) {
      width_ *= 2;
      quiet_batches_ = 0;
    } else if (largest > width_ / 2) {
      quiet_batches_ = 0;
    } else if (width_ > narrowest_ && ++quiet_batches_ == kQuietBatches) {
      width_ /= 2;
      quiet_batches_ = 0;
    }
  }

 private:
  std::uint32_t narrowest_;
  std::uint32_t width_;
  std::uint32_t quiet_batches_ = 0;
};

}  // namespace holdfast::net
