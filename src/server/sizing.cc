#include "server/sizing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace holdfast::server {
namespace {

constexpr std::uint32_t kWorkersMax = 1024;
// Numbers of descriptors are ints; the kernel's own bound (fs.nr_open) is little more.
constexpr std::uint64_t kDescriptorsMax = 1u << 30;
// A worker's descriptors that are not peers: epoll, ring, listeners, log, reserve, and peers that
// are being refused.
constexpr std::uint64_t kOwnDescriptors = 128;

}  // namespace

std::uint64_t dependable_share(std::uint64_t descriptors) {
  const auto d = static_cast<double>(descriptors);
  return static_cast<std::uint64_t>(std::max(1.0, d - 5 * std::sqrt(d)));
}

Result<Sizing> size_up(const Options& options, const Machine& machine) {
  // Every worker's waker is in every worker's table.
  const auto own = [&](std::uint64_t workers) {
    return kOwnDescriptors + workers + options.listen.size();
  };
  const std::uint64_t hard = std::min(machine.descriptors_hard, kDescriptorsMax);
  const auto room = [&](std::uint64_t workers) {
    return hard > own(workers) + 16 ? hard - own(workers) : 16;
  };
  Sizing sizing{};
  const std::uint64_t by_memory =
      std::max<std::uint64_t>(1000, machine.memory_available / kBytesPerConnection);
  std::uint64_t workers = options.workers;
  if (workers == 0) {
    workers = std::max(1u, machine.cpus);
    if (options.connections_max > 0) {
      while (workers < kWorkersMax &&
             workers * dependable_share(room(workers)) < options.connections_max)
        ++workers;
    }
  }
  const std::uint64_t reachable =
      workers == 1 ? room(1) : workers * dependable_share(room(workers));
  sizing.workers = static_cast<std::uint32_t>(workers);
  sizing.connections_max =
      options.connections_max == 0 ? std::min(reachable, by_memory) : options.connections_max;
  if (sizing.connections_max > reachable) {
    const std::string why = fmt::format(
        "connections-max {} cannot be reached: {} worker{} with {} descriptors each "
        "(RLIMIT_NOFILE, hard) hold {}",
        format_count(sizing.connections_max), workers, workers == 1 ? "" : "s",
        format_count(machine.descriptors_hard), format_count(reachable));
    if (!options.allow_fewer) {
      return failure(
          fmt::format("{}. Use --workers auto, raise the limit (`holdfast doctor --connections {} "
                      "--fix`), or start "
                      "with fewer: --allow-fewer",
                      why, sizing.connections_max));
    }
    sizing.warnings.push_back(why + "; starting with that (allow-fewer)");
    sizing.connections_max = reachable;
  }
  if (sizing.connections_max > by_memory) {
    const std::string why = fmt::format(
        "connections-max {} needs about {} of memory and {} are available: enough for {}",
        format_count(sizing.connections_max),
        format_bytes(static_cast<double>(sizing.connections_max * kBytesPerConnection)),
        format_bytes(static_cast<double>(machine.memory_available)), format_count(by_memory));
    sizing.warnings.push_back(why);
  }
  // It may fall to one worker to hold all.
  sizing.descriptors =
      std::min(hard, std::max(kDescriptorsEnough, sizing.connections_max + own(workers)));
  sizing.connections_per_worker_max =
      static_cast<std::uint32_t>(std::min(room(workers), sizing.descriptors));
  return sizing;
}

}  // namespace holdfast::server
