#include "broker/memory_broker.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::broker {

MemoryBroker::MemoryBroker(std::vector<Mailbox*> mailboxes) : mailboxes_(std::move(mailboxes)) {
  CHECK(mailboxes_.size() < 4'096);
}

std::uint32_t MemoryBroker::publish(SharedPublication publication) {
  boost::container::small_vector<Mailbox*, 128> posted;
  std::uint32_t refused = 0;
  {
    Shard& shard = shard_of(publication->topic);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.topics.find(publication->topic);
    if (found == shard.topics.end()) return 0;
    for (const Interest& interest : found->second) {
      Mailbox* mailbox = mailboxes_[interest.worker];
      if (mailbox->enqueue(publication)) {
        posted.push_back(mailbox);
      } else {
        ++refused;
      }
    }
  }
  for (Mailbox* mailbox : posted) mailbox->wake();
  return refused;
}

void MemoryBroker::gain_interest(std::uint32_t worker, std::string_view topic) {
  Shard& shard = shard_of(topic);
  const std::lock_guard lock(shard.mutex);
  auto found = shard.topics.find(topic);
  if (found == shard.topics.end()) found = shard.topics.emplace(topic, Interests()).first;
  for (Interest& interest : found->second) {
    if (interest.worker == worker) {
      CHECK(interest.count < kInterestMax);
      ++interest.count;
      return;
    }
  }
  found->second.push_back({worker & 0xFFF, 1});
}

void MemoryBroker::lose_interest(std::uint32_t worker, std::string_view topic) {
  Shard& shard = shard_of(topic);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.topics.find(topic);
  CHECK(found != shard.topics.end());
  Interests& interests = found->second;
  const auto mine = std::find_if(interests.begin(), interests.end(),
                                 [&](const Interest& one) { return one.worker == worker; });
  CHECK(mine != interests.end());
  if (--mine->count > 0) return;
  interests.erase(mine);
  if (interests.empty()) shard.topics.erase(found);
}

}  // namespace holdfast::broker
