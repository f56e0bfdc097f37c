#include "doctor/sizing.h"

#include <algorithm>
#include <cmath>

namespace holdfast::doctor {
namespace {

constexpr double kIpHeaderBytes = 20;  // RFC 791, no options
constexpr double kTcpHeaderBytes =
    32;  // RFC 9293, with the timestamps of RFC 7323 that Linux sends
constexpr double kHeaderBytes = kIpHeaderBytes + kTcpHeaderBytes;
constexpr double kSegmentBytes = 1500 - kHeaderBytes;
// Ethernet's header, checksum, preamble and gap between frames; a frame is padded to 46 bytes of
// content, which headers exceed.
constexpr double kEthernetBytes = 14 + 4 + 8 + 12;

constexpr double kPageBytes = 4096;
constexpr double kSystemBytes = 512.0 * 1024 * 1024;
constexpr double kMemoryShare = 0.8;
constexpr double kCpuShare = 0.7;

double per_month(double per_second) { return per_second * 3600 * kHoursPerMonth; }

Traffic packets(double per_second, double content_bytes) {
  const double ip_bytes = kHeaderBytes + content_bytes;
  return {per_second, per_second * ip_bytes, per_second * (ip_bytes + kEthernetBytes) * 8};
}

void reckon_memory(const Load& load, const UnitCosts& costs, Size& size) {
  const auto connections = static_cast<double>(load.connections);
  const auto workers = static_cast<double>(std::min(size.workers, kWorkersMax));
  size.kernel_bytes = connections * (costs.kernel_bytes_per_socket + kTableBytesPerDescriptor);
  size.user_bytes =
      connections * kUserBytesPerConnectionMax + workers * kBytesPerWorker + kBytesPerProcess;
  const double pages =
      std::ceil(static_cast<double>(std::max<std::uint64_t>(load.message_bytes, 1)) / kPageBytes);
  size.burst_bytes = load.messages_per_second > 0 ? connections * pages * kPageBytes : 0;
  size.memory_wanted =
      (size.kernel_bytes + size.user_bytes + size.burst_bytes + kSystemBytes) / kMemoryShare;
}

void reckon_cpu(const Load& load, const UnitCosts& costs, double pings_per_second, Size& size) {
  const auto connections = static_cast<double>(load.connections);
  size.keepalive_cores = pings_per_second * costs.ping_microseconds / 1e6;
  const double beyond = std::max(0.0, static_cast<double>(load.message_bytes) - 100) / 1024;
  const double each = costs.delivery_microseconds + beyond * costs.delivery_microseconds_per_kib;
  size.message_cores = connections * load.messages_per_second * each / 1e6;
  size.reconnect_core_seconds = connections * costs.accept_microseconds / 1e6;
}

// A ping goes out and is acknowledged by the pong that it brings; the pong has nothing to ride on
// and gets an acknowledgement of its own.
void reckon_traffic(const Load& load, double pings_per_second, Size& size) {
  size.out += segments(pings_per_second, frame_header_bytes(0, false));
  size.out += acknowledgements(pings_per_second);
  size.in += segments(pings_per_second, frame_header_bytes(0, true));

  const double messages = static_cast<double>(load.connections) * load.messages_per_second;
  const std::uint64_t bytes = load.message_bytes + frame_header_bytes(load.message_bytes, false);
  const Traffic sent = segments(messages, bytes);
  size.out += sent;
  // At most one acknowledgement for two segments (RFC 9293 3.8.6.3), at least one for each message.
  size.in += acknowledgements(std::max(messages, sent.packets_per_second / 2));
  size.egress_gigabytes_per_month = per_month(size.out.ip_bytes_per_second) / 1e9;
  size.ingress_gigabytes_per_month = per_month(size.in.ip_bytes_per_second) / 1e9;
}

void reckon_machines(const Load& load, const Machine& machine, const Prices& prices, Size& size) {
  const double shared = size.kernel_bytes + size.user_bytes + size.burst_bytes;
  const double room = std::max(1.0, machine.memory_bytes * kMemoryShare - kSystemBytes);
  const double by_memory = std::ceil(shared / room);
  const double by_cpu =
      std::ceil((size.keepalive_cores + size.message_cores) / (machine.cpus * kCpuShare));
  const auto most = static_cast<double>(connections_held(kWorkersMax, machine.open_files));
  const double by_descriptors = std::ceil(static_cast<double>(load.connections) / most);
  size.machines = static_cast<std::uint64_t>(std::max({1.0, by_memory, by_cpu, by_descriptors}));
  size.memory_decides = by_memory >= by_cpu;
  if (prices.machine_hour) {
    size.machine_cost_per_month =
        *prices.machine_hour * kHoursPerMonth * static_cast<double>(size.machines);
  }
  if (prices.egress_gigabyte)
    size.egress_cost_per_month = *prices.egress_gigabyte * size.egress_gigabytes_per_month;
}

}  // namespace

Traffic& Traffic::operator+=(const Traffic& other) {
  packets_per_second += other.packets_per_second;
  ip_bytes_per_second += other.ip_bytes_per_second;
  wire_bits_per_second += other.wire_bits_per_second;
  return *this;
}

std::uint64_t frame_header_bytes(std::uint64_t payload_bytes, bool masked) {
  const std::uint64_t length = payload_bytes < 126 ? 2 : payload_bytes < 65536 ? 4 : 10;
  return masked ? length + 4 : length;
}

Traffic segments(double per_second, std::uint64_t bytes) {
  const auto content = static_cast<double>(bytes);
  const double count = std::max(1.0, std::ceil(content / kSegmentBytes));
  return packets(per_second * count, content / count);
}

Traffic acknowledgements(double per_second) { return packets(per_second, 0); }

Size size_of(const Load& load, const UnitCosts& costs, const Machine& machine,
             const Prices& prices) {
  Size size;
  const double interval = static_cast<double>(load.ping_interval.count()) / 1000;
  const double pings = interval > 0 ? static_cast<double>(load.connections) / interval : 0;
  size.workers = workers_for(load.connections, machine.open_files,
                             static_cast<std::uint64_t>(std::max(1.0, machine.cpus)));
  size.descriptors = load.connections;
  reckon_memory(load, costs, size);
  reckon_cpu(load, costs, pings, size);
  reckon_traffic(load, pings, size);
  reckon_machines(load, machine, prices, size);
  return size;
}

}  // namespace holdfast::doctor
