#pragma once

// Lengths depend on keys (an ECDSA signature has 70 to 72 bytes, a ticket names a random number),
// and what a run does depends on lengths. So that a seed is the same run again, OpenSSL draws here
// from a number.

#include <cstdint>

namespace holdfast::simulator {

// From here on every random byte that OpenSSL uses, in the whole process, follows from `seed`.
// Never part of the product: whoever knows the seed knows the keys.
void foresee_keys(std::uint64_t seed);

}  // namespace holdfast::simulator
