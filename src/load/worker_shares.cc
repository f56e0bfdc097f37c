#include "load/worker_shares.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"

namespace holdfast::load {

Result<WorkerShares> share_out(std::uint64_t connections, std::uint32_t asked, std::uint32_t cpus,
                               std::uint64_t descriptors, bool allow_fewer) {
  if (descriptors <= kDescriptorsKept) {
    return failure(
        fmt::format("the descriptor limit (ulimit -n) is {}; the generator needs at least {}; "
                    "raise it with: ulimit -n {}",
                    descriptors, kDescriptorsKept + 1, kDescriptorsKept + 1024));
  }
  // A table holds the wakers of all workers, too: they are made before the tables part.
  const auto reach_of = [&](std::uint64_t workers) {
    const std::uint64_t kept = kDescriptorsKept + workers;
    return descriptors > kept ? workers * (descriptors - kept) : 0;
  };
  std::uint64_t needed = 1;
  std::uint64_t most = 1;  // the number of workers that reaches furthest
  for (std::uint64_t workers = 2; workers <= kWorkersMax; ++workers) {
    if (reach_of(workers) > reach_of(most)) most = workers;
    if (reach_of(needed) < connections) needed = workers;
  }
  std::uint64_t workers =
      asked != 0 ? asked : std::max<std::uint64_t>(cpus, std::min(needed, most));
  workers = std::clamp<std::uint64_t>(workers, 1, std::max<std::uint64_t>(connections, 1));
  if (reach_of(workers) >= connections)
    return WorkerShares{static_cast<std::uint32_t>(workers), connections};
  if (allow_fewer) {
    return WorkerShares{static_cast<std::uint32_t>(workers),
                        std::min(connections, reach_of(workers))};
  }
  if (asked != 0 && reach_of(needed) >= connections) {
    return failure(fmt::format(
        "--workers {}: with {} descriptors each (ulimit -n, some of them kept) they reach "
        "{} of --connections {}; "
        "use --workers auto (it takes {}), or --allow-fewer",
        asked, format_count(descriptors), format_count(reach_of(asked)), format_count(connections),
        std::max<std::uint64_t>(cpus, needed)));
  }
  return failure(fmt::format(
      "--connections {}: {} workers with {} descriptors each (ulimit -n) reach {}; raise the hard "
      "limit to {} "
      "or more (`holdfast doctor` shows how), or use --allow-fewer",
      format_count(connections), most, format_count(descriptors), format_count(reach_of(most)),
      format_count((connections + kWorkersMax - 1) / kWorkersMax + kDescriptorsKept +
                   kWorkersMax)));
}

}  // namespace holdfast::load
