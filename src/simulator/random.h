#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"

namespace holdfast::simulator {

// Numbers that follow from a seed alone (SplitMix64), on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t value = state_ += 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
  }
  // 0..`end` - 1; `end` is at least 1.
  std::uint64_t below(std::uint64_t end) {
    CHECK(end >= 1);
    return next() % end;
  }
  // Both ends included.
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + below(last - first + 1);
  }
  // True `percent` times in a hundred.
  bool chance(unsigned percent) { return below(100) < percent; }
  template <class T>
  const T& any_of(std::span<const T> choices) {
    return choices[below(choices.size())];
  }
  // An index, each as often as its weight says; not all are 0.
  std::size_t weighted(std::span<const unsigned> weights) {
    std::uint64_t sum = 0;
    for (const unsigned weight : weights) sum += weight;
    std::uint64_t at = below(sum);
    std::size_t index = 0;
    while (at >= weights[index]) at -= weights[index++];
    return index;
  }

 private:
  std::uint64_t state_;
};

}  // namespace holdfast::simulator
