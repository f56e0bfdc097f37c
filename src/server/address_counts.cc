#include "server/address_counts.h"

#include "base/check.h"

namespace holdfast::server {

// A shard's lock, for one scope. Waiters sleep in the kernel: with more workers than CPUs the
// holder may not be running.
class AddressCounts::Hold {
 public:
  explicit Hold(Shard& shard) : flag_(shard.held) {
    while (flag_.test_and_set(std::memory_order_acquire))
      flag_.wait(true, std::memory_order_relaxed);
  }
  ~Hold() {
    flag_.clear(std::memory_order_release);
    flag_.notify_one();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  std::atomic_flag& flag_;
};

std::optional<AddressCounts::Place> AddressCounts::enter(const IpAddress& peer) {
  const IpAddress address = peer.is_v4() ? peer : peer.first_of_64();
  // The map takes the low bits of the hash, the shards the high ones.
  const auto index = static_cast<std::uint32_t>(address.hash() >> (64 - kShardBits));
  Shard& shard = shards_[index];
  const Hold hold(shard);
  const auto [at, is_new] = shard.rows_by_address.try_emplace(address, 0);
  if (is_new) {
    if (shard.free_rows.empty()) {
      shard.free_rows.push_back(static_cast<std::uint32_t>(shard.rows.size()));
      shard.rows.emplace_back();
    }
    at->second = shard.free_rows.back();
    shard.free_rows.pop_back();
    shard.rows[at->second].address = address;
  }
  Row& row = shard.rows[at->second];
  if (row.count == most_) return std::nullopt;
  ++row.count;
  return (at->second << kShardBits | index) + 1;
}

void AddressCounts::leave(Place place) {
  CHECK(place != 0);
  Shard& shard = shards_[(place - 1) % kShards];
  const std::uint32_t index = (place - 1) >> kShardBits;
  const Hold hold(shard);
  CHECK(index < shard.rows.size() && shard.rows[index].count > 0);
  Row& row = shard.rows[index];
  if (--row.count > 0) return;
  shard.rows_by_address.erase(row.address);
  shard.free_rows.push_back(index);
}

std::size_t AddressCounts::addresses() const {
  std::size_t sum = 0;
  for (Shard& shard : shards_) {
    const Hold hold(shard);
    sum += shard.rows_by_address.size();
  }
  return sum;
}

}  // namespace holdfast::server
