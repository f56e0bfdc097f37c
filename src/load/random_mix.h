#pragma once

#include <cstdint>

namespace holdfast::load {

// Spreads a number over 64 bits (the finaliser of SplitMix64): unlike inputs, unrelated outputs.
constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace holdfast::load
