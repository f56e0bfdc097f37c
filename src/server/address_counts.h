#pragma once

// How many connections each peer address has now: exact, and as large as the number of different
// addresses that are connected. An IPv6 address counts as its /64: that is what one subscriber gets
// (RFC 6177, BCP 157), and its last 64 bits are his to choose.

#include <array>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ip_address.h"

namespace holdfast::server {

// Shared by all workers. Addresses are spread over shards, each under a lock of its own that is
// held for one look into a hash map; only a server with a limit per address has it at all.
class AddressCounts {
 public:
  // What a connection keeps so that it can leave: 4 bytes. Never 0.
  using Place = std::uint32_t;

  // `most`: connections of one address, at least 1.
  explicit AddressCounts(std::uint32_t most) : most_(most) {}

  // One more from this address or, of IPv6, its /64, counted until leave(); nothing when it has as
  // many as it may.
  std::optional<Place> enter(const IpAddress& peer);
  void leave(Place place);
  // Different addresses that are counted now. For tests and figures.
  std::size_t addresses() const;

 private:
  static constexpr std::uint32_t kShardBits = 6;
  static constexpr std::uint32_t kShards = 1u << kShardBits;

  struct Row {
    IpAddress address;
    std::uint32_t count = 0;  // 0: a free row
  };
  struct alignas(64) Shard {
    std::atomic_flag held = ATOMIC_FLAG_INIT;
    boost::unordered_flat_map<IpAddress, std::uint32_t> rows_by_address;
    std::vector<Row> rows;
    std::vector<std::uint32_t> free_rows;
  };
  class Hold;

  const std::uint32_t most_;
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace holdfast::server
