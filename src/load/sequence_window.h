#pragma once

// Which numbers of a rising sequence have come: the largest, and one bit for each of the 64 below
// it. Enough to tell a repeated number from a late one, in 12 bytes.

#include <array>
#include <cstdint>

namespace holdfast::load {

class SequenceWindow {
 public:
  // Numbers that are so far behind the largest, or further, cannot be told from repeated ones.
  static constexpr std::uint32_t kSpan = 64;

  enum class Arrival : std::uint8_t {
    kNew,        // larger than all before
    kLate,       // one that was skipped earlier
    kDuplicate,  // was here before, or is too old to say
  };

  Arrival note(std::uint32_t sequence) {
    if (sequence >= next_) {
      const std::uint32_t step = sequence - next_ + 1;
      std::uint64_t seen = bits();
      // Bit 0 stands for next_ - 1, the largest so far.
      seen = step >= kSpan ? 0 : seen << step;
      set_bits(seen | 1);
      next_ = sequence + 1;
      return Arrival::kNew;
    }
    const std::uint32_t age = next_ - 1 - sequence;
    if (age >= kSpan || (bits() >> age & 1) != 0) return Arrival::kDuplicate;
    set_bits(bits() | std::uint64_t{1} << age);
    return Arrival::kLate;
  }

 private:
  // Two halves, so that a record of 32 bytes needs no padding.
  std::uint64_t bits() const { return static_cast<std::uint64_t>(halves_[1]) << 32 | halves_[0]; }
  void set_bits(std::uint64_t value) {
    halves_ = {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }

  std::uint32_t next_ = 0;
  std::array<std::uint32_t, 2> halves_{};
};
static_assert(sizeof(SequenceWindow) == 12);

}  // namespace holdfast::load
