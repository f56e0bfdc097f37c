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
  const std::uint64_t per_worker = descriptors - kDescriptorsKept;
  const std::uint64_t needed = (connections + per_worker - 1) / per_worker;
  // Each worker has a waker, which is made before the tables part.
  const std::uint64_t most = std::min<std::uint64_t>(kWorkersMax, per_worker);
  std::uint64_t workers =
      asked != 0 ? asked
                 : std::clamp<std::uint64_t>(std::max<std::uint64_t>(cpus, needed), 1, most);
  workers = std::clamp<std::uint64_t>(workers, 1, std::max<std::uint64_t>(connections, 1));

  const std::uint64_t reach = workers * per_worker;
  if (workers <= most && reach >= connections)
    return WorkerShares{static_cast<std::uint32_t>(workers), connections};
  if (allow_fewer) {
    workers = std::min(workers, most);
    return WorkerShares{static_cast<std::uint32_t>(workers),
                        std::min(connections, workers * per_worker)};
  }
  if (asked != 0 && needed <= most) {
    return failure(
        fmt::format("--workers {}: with {} descriptors each (ulimit -n, less {} kept) they reach "
                    "{} of --connections {}; "
                    "use --workers auto (it takes {}), or --allow-fewer",
                    asked, format_count(descriptors), kDescriptorsKept, format_count(reach),
                    format_count(connections), std::max<std::uint64_t>(cpus, needed)));
  }
  return failure(fmt::format(
      "--connections {}: {} workers with {} descriptors each (ulimit -n) reach {}; raise the hard "
      "limit to {} "
      "or more (`holdfast doctor` shows how), or use --allow-fewer",
      format_count(connections), most, format_count(descriptors), format_count(most * per_worker),
      format_count((connections + most - 1) / most + kDescriptorsKept)));
}

}  // namespace holdfast::load
