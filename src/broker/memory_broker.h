#pragma once

// Within this process: straight into the mailboxes of the workers that have a subscriber.
//
// The publications of one topic reach all workers in one and the same order, whoever publishes:
// they are posted under the lock of the topic's shard. Waking the workers, which costs a system
// call each, comes after it.

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/broker.h"
#include "broker/mailbox.h"

namespace holdfast::broker {

class MemoryBroker final : public Broker {
 public:
  // A worker's number is its mailbox's place here. The mailboxes outlive the broker. At most
  // 4,095.
  explicit MemoryBroker(std::vector<Mailbox*> mailboxes);
  std::uint32_t publish(SharedPublication publication) override;
  void gain_interest(std::uint32_t worker, std::string_view topic) override;
  void lose_interest(std::uint32_t worker, std::string_view topic) override;

 private:
  struct Interest {
    std::uint32_t worker : 12;
    std::uint32_t count : 20;  // some for each letter in its mailbox (Peer::at_this_point_of)
  };
  static_assert(sizeof(Interest) == 4);
  static constexpr std::uint32_t kInterestMax = (1u << 20) - 1;
  using Interests = boost::container::small_vector<Interest, 2>;
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const {
      return boost::hash<std::string_view>()(text);
    }
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    boost::unordered_flat_map<std::string, Interests, Hash, std::equal_to<>> topics;
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(std::string_view topic) { return shards_[Hash()(topic) % kShards]; }

  std::vector<Mailbox*> mailboxes_;
  std::array<Shard, kShards> shards_;
};

}  // namespace holdfast::broker
