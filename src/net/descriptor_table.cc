#include "net/descriptor_table.h"

#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace holdfast::net {

Result<void> take_private_descriptor_table() {
#ifdef __SANITIZE_THREAD__
  // ThreadSanitizer knows a descriptor by its number alone: the same number in two tables would look like one descriptor that two
  // threads share without order. One table for all is slower and smaller, but just as right.
  return {};
#endif
  if (unshare(CLONE_FILES) != 0) {
    return failure(std::string("unshare(CLONE_FILES): ") + std::strerror(errno), errno);
  }
  return {};
}

DescriptorLimit descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return {limit.rlim_cur, limit.rlim_max};
}

DescriptorLimit raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  return descriptor_limit();
}

}  // namespace holdfast::net
