#pragma once

// What one connection, one ping and one message cost: the figures that doctor and plan reckon with.

#include <cstdint>
#include <string_view>

namespace holdfast::doctor {

// CPU in microseconds of one core, on the server's side; memory in bytes.
struct UnitCosts {
  double kernel_bytes_per_socket;        // slab of an idle established TCP socket in an epoll set
  double kernel_bytes_per_pair;          // both ends on one machine, over loopback
  double ping_microseconds;              // a ping sent and its pong received
  double accept_microseconds;            // a connection accepted and upgraded
  double delivery_microseconds;          // a 100-byte message sent to one subscriber
  double delivery_microseconds_per_kib;  // what each KiB above 100 bytes adds to that
};

// Where the recorded figures come from; to be printed with them.
inline constexpr std::string_view kRecordedOn =
    "2026-11, 2 cores, 24 GiB, Debian 12, Linux 6.18, under a hypervisor, over loopback";

// Sends and receives one system call each (epoll), the dearer transport.
inline constexpr UnitCosts kRecordedPlain = {3800, 7900, 14.0, 38.0, 11.0, 0.3};
// Sends and receives in batches through io_uring.
inline constexpr UnitCosts kRecordedBatched = {3800, 7900, 9.0, 30.0, 6.0, 0.3};

// User-space memory of Holdfast for one idle connection: the most that the design allows itself,
// not what was measured.
inline constexpr double kUserBytesPerConnectionMax = 96;
// A private descriptor table's share: one pointer and three bits a number, doubled because tables
// grow by doubling.
inline constexpr double kTableBytesPerDescriptor = 17;
// A worker's thread, rings, loop buffers and index, idle.
inline constexpr double kBytesPerWorker = 1024 * 1024;
// The program itself.
inline constexpr double kBytesPerProcess = 16.0 * 1024 * 1024;

}  // namespace holdfast::doctor
