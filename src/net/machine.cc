#include "net/machine.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

namespace holdfast::net {
namespace {

// "Name:   123 kB" of a /proc file, in bytes.
std::uint64_t kilobytes_of(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}

std::uint64_t number_in(const std::string& file, std::uint64_t otherwise) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  return in >> number ? number : otherwise;
}

struct CgroupMemory {
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t used = 0;
};

CgroupMemory cgroup_memory() {
  CgroupMemory tightest;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t second = line.find(':');
    const std::size_t third = line.find(':', second + 1);
    if (second == std::string::npos || third == std::string::npos) continue;
    const std::string controllers = line.substr(second + 1, third - second - 1);
    const std::string path = line.substr(third + 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string folder =
        (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + (path == "/" ? "" : path);
    CgroupMemory here;
    here.limit = number_in(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"), here.limit);
    here.used = number_in(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"), 0);
    if (here.limit < tightest.limit) tightest = here;
  }
  return tightest;
}

}  // namespace

std::uint64_t memory_total() {
  return std::min(kilobytes_of("/proc/meminfo", "MemTotal"), cgroup_memory().limit);
}

std::uint64_t memory_available() {
  const CgroupMemory group = cgroup_memory();
  const std::uint64_t in_group = group.limit > group.used ? group.limit - group.used : 0;
  return std::min(kilobytes_of("/proc/meminfo", "MemAvailable"), in_group);
}

std::uint64_t user_memory() { return kilobytes_of("/proc/self/smaps_rollup", "Pss"); }

std::uint64_t kernel_bytes_per_socket() {
  constexpr std::array<std::string_view, 5> kSlabs = {"TCP ", "sock_inode_cache ", "dentry ",
                                                      "filp ", "eventpoll_epi "};
  constexpr std::uint64_t kMeasured = 3800;
  std::ifstream in("/proc/slabinfo");
  std::uint64_t sum = 0;
  std::size_t found = 0;
  for (std::string line; std::getline(in, line);) {
    for (const std::string_view slab : kSlabs) {
      if (!line.starts_with(slab)) continue;
      std::istringstream fields(line.substr(slab.size()));
      std::uint64_t active = 0, objects = 0, size = 0;
      if (fields >> active >> objects >> size) {
        sum += size;
        ++found;
      }
    }
  }
  return found == kSlabs.size() ? sum : kMeasured;
}

Conntrack conntrack() {
  return {number_in("/proc/sys/net/netfilter/nf_conntrack_count", 0),
          number_in("/proc/sys/net/netfilter/nf_conntrack_max", 0)};
}

OpenFiles open_files() {
  std::ifstream in("/proc/sys/fs/file-nr");
  OpenFiles files{0, 0};
  std::uint64_t unused = 0;
  in >> files.count >> unused >> files.max;
  return files;
}

}  // namespace holdfast::net
