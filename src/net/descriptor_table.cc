#include "net/descriptor_table.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast::net {
namespace {

// close_range(2) with CLOSE_RANGE_UNSHARE separates the table before it closes; a range at the end
// of all numbers closes nothing. Many containers forbid unshare(2) as a whole, for what else it can
// do, and let this one through.
int separate_by_close_range() {
  return static_cast<int>(syscall(SYS_close_range, ~0U - 1, ~0U, CLOSE_RANGE_UNSHARE));
}

}  // namespace

Result<void> take_private_descriptor_table() {
  if (unshare(CLONE_FILES) == 0) return {};
  const int error = errno;
  if (separate_by_close_range() == 0) return {};
  return failure(fmt::format("unshare(CLONE_FILES): {}; close_range(CLOSE_RANGE_UNSHARE): {}",
                             std::strerror(error), std::strerror(errno)),
                 error);
}

DescriptorLimit descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return {limit.rlim_cur, limit.rlim_max};
}

DescriptorLimit raise_descriptor_limit(std::uint64_t most) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, most);
  if (limit.rlim_cur != wanted) {
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  return descriptor_limit();
}

}  // namespace holdfast::net
