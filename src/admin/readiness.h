#pragma once

// Whether this server should get more connections: what a balancer or a scaler asks.

#include <cstdint>
#include <string>
#include <vector>

#include "server/cluster.h"

namespace holdfast::admin {

struct Resource {
  std::string name;     // "connections", "descriptors", "memory", "conntrack"
  std::uint64_t used;   // conntrack and memory: of the whole machine, or the cgroup
  std::uint64_t limit;  // 0: no limit is known, so it never fills
  double percent() const {
    return limit == 0 ? 0 : 100.0 * static_cast<double>(used) / static_cast<double>(limit);
  }
};

struct Readiness {
  bool ready;
  std::string
      reason;  // "ready", "draining", "connections at 93 % of 600000 (high-water-percent 90)"
};

// Reads /proc; a fraction of a millisecond. Any thread, after the cluster's start().
std::vector<Resource> resources(const server::Cluster& cluster);
Readiness readiness(const std::vector<Resource>& resources, bool draining,
                    std::uint32_t high_water_percent);

}  // namespace holdfast::admin
