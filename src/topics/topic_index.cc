#include "topics/topic_index.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::topics {
namespace {

constexpr std::uint32_t kListed = 1u << 31;

}  // namespace

TopicIndex::TopicIndex(std::uint32_t subscribers, TopicListener* listener)
    : listener_(listener),
      chosen_(static_cast<std::uint32_t*>(std::calloc(subscribers, sizeof(std::uint32_t)))),
      ids_(0, Hash{&topics_}, IsSame{&topics_}) {
  CHECK(chosen_ != nullptr);
}

TopicIndex::~TopicIndex() { std::free(chosen_); }

std::uint32_t TopicIndex::id_of(std::string_view topic) {
  if (const auto found = ids_.find(topic); found != ids_.end()) return *found;
  std::uint32_t id;
  if (free_ids_.empty()) {
    id = static_cast<std::uint32_t>(topics_.size());
    topics_.push_back({.name = std::string(topic)});
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
    topics_[id].name = topic;
  }
  ids_.insert(id);
  if (listener_ != nullptr) listener_->topic_began(topic);
  return id;
}

bool TopicIndex::subscribe(std::uint32_t subscriber, std::string_view topic) {
  const std::uint32_t id = id_of(topic);
  if (!topics_[id].subscribers.add(subscriber)) return false;
  remember(subscriber, id);
  return true;
}

bool TopicIndex::unsubscribe(std::uint32_t subscriber, std::string_view topic) {
  const auto found = ids_.find(topic);
  if (found == ids_.end()) return false;
  const std::uint32_t id = *found;
  if (!leave(subscriber, id)) return false;
  forget(subscriber, id);
  return true;
}

void TopicIndex::unsubscribe_all(std::uint32_t subscriber) {
  const std::uint32_t chosen = chosen_[subscriber];
  if (chosen == 0) return;
  chosen_[subscriber] = 0;
  if ((chosen & kListed) == 0) {
    leave(subscriber, chosen - 1);
    return;
  }
  const std::uint32_t place = chosen & ~kListed;
  for (const std::uint32_t id : lists_[place]) leave(subscriber, id);
  std::vector<std::uint32_t>().swap(lists_[place]);
  free_lists_.push_back(place);
}

bool TopicIndex::is_subscribed(std::uint32_t subscriber, std::string_view topic) const {
  const auto found = ids_.find(topic);
  return found != ids_.end() && topics_[*found].subscribers.contains(subscriber);
}

std::vector<std::string_view> TopicIndex::topics_of(std::uint32_t subscriber) const {
  const std::uint32_t chosen = chosen_[subscriber];
  if (chosen == 0) return {};
  if ((chosen & kListed) == 0) return {topics_[chosen - 1].name};
  std::vector<std::string_view> names;
  for (const std::uint32_t id : lists_[chosen & ~kListed]) names.push_back(topics_[id].name);
  return names;
}

std::uint64_t TopicIndex::subscriber_count(std::string_view topic) const {
  const auto found = ids_.find(topic);
  return found == ids_.end() ? 0 : topics_[*found].subscribers.size();
}

void TopicIndex::remember(std::uint32_t subscriber, std::uint32_t id) {
  std::uint32_t& chosen = chosen_[subscriber];
  if (chosen == 0) {
    chosen = id + 1;
    return;
  }
  if ((chosen & kListed) == 0) {
    std::uint32_t place;
    if (free_lists_.empty()) {
      place = static_cast<std::uint32_t>(lists_.size());
      lists_.emplace_back();
    } else {
      place = free_lists_.back();
      free_lists_.pop_back();
    }
    lists_[place].push_back(chosen - 1);
    chosen = kListed | place;
  }
  lists_[chosen & ~kListed].push_back(id);
}

void TopicIndex::forget(std::uint32_t subscriber, std::uint32_t id) {
  std::uint32_t& chosen = chosen_[subscriber];
  if ((chosen & kListed) == 0) {
    CHECK(chosen == id + 1);
    chosen = 0;
    return;
  }
  std::vector<std::uint32_t>& list = lists_[chosen & ~kListed];
  std::erase(list, id);
  if (list.empty()) {
    free_lists_.push_back(chosen & ~kListed);
    chosen = 0;
  }
}

// The last one out takes the topic with it. False when it was not in.
bool TopicIndex::leave(std::uint32_t subscriber, std::uint32_t id) {
  Topic& topic = topics_[id];
  if (!topic.subscribers.remove(subscriber)) return false;
  if (!topic.subscribers.is_empty()) return true;
  ids_.erase(ids_.find(id));
  if (listener_ != nullptr) listener_->topic_ended(topic.name);
  topic = {};
  free_ids_.push_back(id);
  return true;
}

}  // namespace holdfast::topics
