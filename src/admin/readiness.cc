#include "admin/readiness.h"

#include <fmt/format.h>

#include "net/machine.h"

namespace holdfast::admin {

std::vector<Resource> resources(const server::Cluster& cluster) {
  const std::uint64_t total = net::memory_total();
  const std::uint64_t available = net::memory_available();
  const net::Conntrack conntrack = net::conntrack();
  const server::Sizing& sizing = cluster.sizing();
  return {
      {"connections", cluster.connections(), sizing.connections_max},
      {"descriptors", cluster.descriptors(),
       std::uint64_t{sizing.workers} * sizing.connections_per_worker_max},
      {"memory", total > available ? total - available : 0, total},
      {"conntrack", conntrack.count, conntrack.max},
  };
}

Readiness readiness(const std::vector<Resource>& resources, bool draining,
                    std::uint32_t high_water_percent) {
  if (draining) return {false, "draining"};
  for (const Resource& resource : resources) {
    if (resource.percent() < high_water_percent) continue;
    return {false, fmt::format("{} at {:.0f} % of {} (high-water-percent {})", resource.name,
                               resource.percent(), resource.limit, high_water_percent)};
  }
  return {true, "ready"};
}

}  // namespace holdfast::admin
