#pragma once

// How many workers, and how much each may hold: pure arithmetic.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "holdfast/options.h"

namespace holdfast::server {

struct Machine {
  std::uint32_t cpus;
  std::uint64_t descriptors_hard;  // RLIMIT_NOFILE, of each descriptor table
  std::uint64_t memory_available;  // bytes
};

struct Sizing {
  std::uint32_t workers;
  std::uint64_t connections_max;
  std::uint32_t connections_per_worker_max;  // what its descriptors allow
  std::uint64_t descriptors;                 // that a worker's table is made for
  std::vector<std::string> warnings;
};

// A worker's tables have a row for each descriptor that it may get. Where the limit is far above
// what is needed (a container's may be 2^30), so many are enough: the kernel gives the lowest free
// number.
inline constexpr std::uint64_t kDescriptorsEnough = 1u << 20;

// Kernel memory of one established TCP socket with epoll (3.8 KB) and Holdfast's own, with a fifth
// for what comes and goes.
inline constexpr std::uint64_t kBytesPerConnection = 4600;

// The error names the option and the remedy.
Result<Sizing> size_up(const Options& options, const Machine& machine);

// Of `descriptors`, those that a worker can count on for its share when connections fall on workers
// at random (SO_REUSEPORT hashes): a worker gets its mean and, once in a million, five standard
// deviations more.
std::uint64_t dependable_share(std::uint64_t descriptors);

}  // namespace holdfast::server
