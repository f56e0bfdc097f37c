#pragma once

// How many threads a crowd needs, each having a descriptor table of its own.

#include <cstdint>

#include "base/result.h"

namespace holdfast::load {

// Descriptors of a worker that are not its connections: standard streams, loop, publishers, and a
// reserve.
inline constexpr std::uint64_t kDescriptorsKept = 128;
inline constexpr std::uint32_t kWorkersMax = 1024;

struct WorkerShares {
  std::uint32_t workers = 1;
  std::uint64_t connections = 0;  // that they can hold of those asked for

  // The share of worker `index`: nearly the same for each.
  std::uint64_t first_of(std::uint32_t index) const { return connections * index / workers; }
  std::uint32_t count_of(std::uint32_t index) const {
    return static_cast<std::uint32_t>(first_of(index + 1) - first_of(index));
  }
};

// `asked`: workers, or 0 for auto: one per CPU, or as many as `connections` need at `descriptors`
// each, whichever is more. Where they cannot be held: the error says what would help; with
// `allow_fewer`, as many as can.
Result<WorkerShares> share_out(std::uint64_t connections, std::uint32_t asked, std::uint32_t cpus,
                               std::uint64_t descriptors, bool allow_fewer);

}  // namespace holdfast::load
