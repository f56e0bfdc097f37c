#pragma once

// What control groups grant this process: the tightest limit between its own group and the root of
// the hierarchy, in version 1, version 2 or a mixture of both (kernel: admin-guide/cgroup-v2,
// admin-guide/cgroup-v1/memory, sched-bwc).

#include <cstdint>
#include <optional>
#include <string>

#include "doctor/rooted_files.h"

namespace holdfast::doctor {

struct CgroupLimits {
  // Bytes. Socket slabs, socket buffers and io_uring rings are charged too, not only the process's
  // own pages.
  std::optional<std::uint64_t> memory_bytes_max;
  std::uint64_t memory_bytes_used =
      0;  // of the group that memory_bytes_max belongs to, cold file cache left out
  std::optional<std::uint64_t> tasks_max;  // threads and processes
  std::uint64_t tasks_used = 0;            // of the group that tasks_max belongs to
  std::optional<double> cpus_max;          // CPUs' worth of time, quota divided by period
  std::string
      group;  // path of the process's group with the memory controller; "" when there is none
};

// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups that they name. What is not limited
// is left empty.
CgroupLimits read_cgroup_limits(const RootedFiles& files);

}  // namespace holdfast::doctor
