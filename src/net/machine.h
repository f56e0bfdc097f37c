#pragma once

#include <cstdint>

namespace holdfast::net {

// Bytes of memory that this process may still take: /proc/meminfo's MemAvailable, or less where a
// cgroup (v1 or v2) says so.
std::uint64_t memory_available();
// The same for all of it: MemTotal or the cgroup's limit.
std::uint64_t memory_total();
// Proportional set size of this process, bytes (/proc/self/smaps_rollup). Takes milliseconds where
// much is mapped.
std::uint64_t user_memory();
// Kernel memory of one established TCP socket with its file, inode, dentry and epoll item, bytes:
// from the sizes in /proc/slabinfo (root only), else 3,800 as measured on Linux 6.18.
std::uint64_t kernel_bytes_per_socket();
// Connection tracking: entries in use and allowed; both 0 where the module is not loaded.
struct Conntrack {
  std::uint64_t count;
  std::uint64_t max;
};
Conntrack conntrack();
// Descriptors open in the whole system, and allowed (/proc/sys/fs/file-nr).
struct OpenFiles {
  std::uint64_t count;
  std::uint64_t max;
};
OpenFiles open_files();

}  // namespace holdfast::net
