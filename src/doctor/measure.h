#pragma once

// Takes the unit costs on this machine, with Holdfast's own loop: a crowd of loopback connections
// inside this process, one thread in the server's role, one in the clients', each with a descriptor
// table of its own.

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/time.h"
#include "doctor/unit_costs.h"
#include "net/loop.h"

namespace holdfast::doctor {

struct Measured {
  // accept_microseconds is with a canned upgrade, without the parsing of a request. Bytes are the
  // sizes of the kernel's objects, where /proc/slabinfo may be read (root), else the recorded ones.
  UnitCosts costs{};
  // What the kernel's slabs grew by for each pair while all were opened. Less than the objects'
  // sizes when closed sockets of others were reused, more when others opened some meanwhile: it
  // tells about the machine only when nothing else goes on.
  double slab_growth_per_pair = 0;
  std::uint32_t connections = 0;
};

// Sends of one turn, about what a worker's sweep makes of some tens of thousands of connections.
inline constexpr std::size_t kMeasuredBatch = 256;

// Takes `each` for each of three figures, and a second or two for opening and closing; opens at
// most `connections` (fewer where descriptors are few); runs threads of its own and leaves nothing
// open. Error: the transport is not allowed here, or something that takes milliseconds took
// seconds.
Result<Measured> measure(net::Io transport, std::uint32_t connections,
                         Duration each = std::chrono::seconds(1));

}  // namespace holdfast::doctor
