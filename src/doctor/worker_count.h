#pragma once

// How many workers N connections take under a limit on open files. The theory: RLIMIT_NOFILE bounds
// the numbers of one descriptor table, each worker has a table of its own, and connections fall on
// workers at random (SO_REUSEPORT hashes): a worker gets its mean and, once in a million, five
// standard deviations more. The same reckoning as the server's own at its start; a test of the
// commands compares the two.

#include <cstdint>

namespace holdfast::doctor {

// As Options::workers: the most threads that a server may be told to run.
inline constexpr std::uint64_t kWorkersMax = 1024;
// The highest limit that is asked for anywhere: fs.nr_open as the kernel sets it. More connections
// than that would be too many peers for one thread.
inline constexpr std::uint64_t kOpenFilesMax = 1'048'576;

// Connections that so many workers can promise to hold when each may have `limit` descriptors.
std::uint64_t connections_held(std::uint64_t workers, std::uint64_t limit);
// The fewest workers, but at least `at_least`, that hold them; kWorkersMax + 1 when not even
// kWorkersMax do.
std::uint64_t workers_for(std::uint64_t connections, std::uint64_t limit, std::uint64_t at_least);
// The lowest limit under which so many workers hold them.
std::uint64_t open_files_for(std::uint64_t connections, std::uint64_t workers);

}  // namespace holdfast::doctor
