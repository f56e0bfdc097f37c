#pragma once

// What N connections take: memory, descriptors, CPU, bandwidth and money, reckoned from unit costs.
// Arithmetic only.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "doctor/unit_costs.h"
#include "doctor/worker_count.h"

namespace holdfast::doctor {

// A machine to size for.
struct Machine {
  double memory_bytes = 0;  // as fitted
  double cpus = 1;
  std::uint64_t open_files = kOpenFilesMax;  // hard RLIMIT_NOFILE
};

struct Load {
  std::uint64_t connections = 0;
  double messages_per_second = 0;                   // sent by the server to each connection
  std::uint64_t message_bytes = 0;                  // payload
  std::chrono::milliseconds ping_interval{25'000};  // 0: no pings
};

// Money in whatever currency the prices are in.
struct Prices {
  std::optional<double> machine_hour;
  std::optional<double> egress_gigabyte;  // 10^9 bytes that leave the machine
};

// One direction of traffic.
struct Traffic {
  double packets_per_second = 0;
  double ip_bytes_per_second = 0;  // with TCP and IP headers: what clouds count
  double wire_bits_per_second =
      0;  // with Ethernet framing, preamble and gap: what a port's speed counts
  Traffic& operator+=(const Traffic& other);
};

struct Size {
  double kernel_bytes = 0;
  double user_bytes = 0;
  double burst_bytes = 0;  // one page a connection, when all get a message at once
  double memory_wanted =
      0;  // of a machine, so that it is 80 % full with all of it, and 512 MiB for the system

  std::uint64_t descriptors = 0;  // of the process
  std::uint64_t workers =
      0;  // kWorkersMax + 1 or more: cannot be held under this limit on open files
  double keepalive_cores = 0;
  double message_cores = 0;
  double reconnect_core_seconds = 0;  // CPU to take all N in again

  Traffic out;
  Traffic in;
  double egress_gigabytes_per_month = 0;
  double ingress_gigabytes_per_month = 0;

  std::uint64_t machines = 1;   // of the given kind, at 80 % of memory and 70 % of CPU
  bool memory_decides = false;  // what the number of machines comes from: memory, else CPU
  std::optional<double> machine_cost_per_month;
  std::optional<double> egress_cost_per_month;
};

// A month as clouds bill it.
inline constexpr double kHoursPerMonth = 730;

Size size_of(const Load& load, const UnitCosts& costs, const Machine& machine,
             const Prices& prices);

// Bytes of a WebSocket frame's header (RFC 6455 5.2): 2, 4 or 10, and 4 more for the mask of a
// client's frame.
std::uint64_t frame_header_bytes(std::uint64_t payload_bytes, bool masked);
// Traffic of `per_second` writes of `bytes` each, cut into segments.
Traffic segments(double per_second, std::uint64_t bytes);
// Traffic of pure acknowledgements.
Traffic acknowledgements(double per_second);

}  // namespace holdfast::doctor
