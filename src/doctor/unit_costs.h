#pragma once

// What one connection, one ping and one message cost: the figures that doctor and plan reckon with.

#include <cstdint>
#include <string_view>

namespace holdfast::doctor {

// CPU in microseconds of one core, on the server's side; memory in bytes.
struct UnitCosts {
  double kernel_bytes_per_socket;   // slab of an idle established TCP socket in an epoll set
  double kernel_bytes_per_pair;     // both ends on one machine, over loopback
  double ping_microseconds;         // a ping sent and its pong received
  double accept_microseconds;       // a connection accepted and upgraded
  double delivery_microseconds;     // a 100-byte message sent to one subscriber
};

// Where the recorded figures come from; to be printed with them.
inline constexpr std::string_view kRecordedOn =
    "2026-11, 2 cores, 24 GiB, Debian 12, Linux 6.18, under a hypervisor, over loopback";

// Sends and receives one system call each (epoll), the dearer transport.
inline constexpr UnitCosts kRecordedPlain = {3800, 6300, 14.0, 38.0, 11.0};
// Sends and receives in batches through io_uring.
inline constexpr UnitCosts kRecordedBatched = {3800, 6300, 9.0, 30.0, 6.0};

// User-space memory of Holdfast for one idle connection: the most that the design allows itself, not what was measured.
inline constexpr double kUserBytesPerConnectionMax = 96;
// A private descriptor table's share: one pointer and three bits a number, doubled because tables grow by doubling.
inline constexpr double kTableBytesPerDescriptor = 17;
// A worker's thread, rings, loop buffers and index, idle.
inline constexpr double kBytesPerWorker = 1024 * 1024;
// The program itself.
inline constexpr double kBytesPerProcess = 16.0 * 1024 * 1024;

// Descriptors of a worker's table that are no connection's, and room for an uneven spread of connections over the workers: a
// twentieth of the limit, and at least 64 for listeners, rings, log and reserve.
constexpr std::uint64_t descriptor_reserve(std::uint64_t limit) { return limit / 20 > 64 ? limit / 20 : 64; }
// Connections that one worker may hold under an open-files limit.
constexpr std::uint64_t connections_per_worker(std::uint64_t limit) {
  const std::uint64_t reserve = descriptor_reserve(limit);
  return limit > reserve ? limit - reserve : 0;
}
// The highest open-files limit that is asked for anywhere: fs.nr_open as the kernel sets it. A worker of more connections
// than that would be one thread's work for too many peers.
inline constexpr std::uint64_t kOpenFilesMax = 1'048'576;
// As Options::workers: the most threads that a server may be told to run.
inline constexpr std::uint64_t kWorkersMax = 1024;
// Workers that hold `connections` under `limit`: one for each CPU, or more where the limit wants it. May exceed kWorkersMax;
// UINT64_MAX when the limit leaves no room at all.
constexpr std::uint64_t workers_for(std::uint64_t connections, std::uint64_t limit, std::uint64_t cpus) {
  const std::uint64_t each = connections_per_worker(limit);
  if (each == 0) return UINT64_MAX;
  const std::uint64_t needed = connections / each + (connections % each != 0 ? 1 : 0);
  return needed > cpus ? needed : cpus;
}
static_assert(workers_for(600'000, 20'000, 2) == 32);
static_assert(workers_for(100'000, 1'048'576, 2) == 2);
static_assert(workers_for(1, 40, 1) == UINT64_MAX);

}  // namespace holdfast::doctor
