#pragma once

// RLIMIT_NOFILE bounds descriptor *numbers*, and each descriptor table counts for itself. A thread
// with a table of its own therefore has the whole limit to itself, and shares no table lock or
// reference count on its way to the kernel.

#include <cstdint>

#include "base/result.h"

namespace holdfast::net {

// Gives the calling thread a private copy of the process's descriptor table: unshare(2) with
// CLONE_FILES, or, where a container forbids that, close_range(2) with CLOSE_RANGE_UNSHARE. Neither
// needs privilege. Descriptors open at that moment exist in both tables; those opened later in one
// only. The error names both calls; its code is unshare's.
Result<void> take_private_descriptor_table();

struct DescriptorLimit {
  std::uint64_t soft;
  std::uint64_t hard;
};
// RLIMIT_NOFILE of this process.
DescriptorLimit descriptor_limit();
// Sets the soft limit to the hard one, or to `most` where that is less; returns what is then in
// force.
DescriptorLimit raise_descriptor_limit(std::uint64_t most = UINT64_MAX);

}  // namespace holdfast::net
