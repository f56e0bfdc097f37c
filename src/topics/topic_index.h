#pragma once

// Who, on this worker, wants which topic. Subscribers are small numbers (a worker uses descriptor
// numbers).
//
//   topic      ──► the set of its subscribers (subscriber_set.h), walked in rising order
//   subscriber ──► 4 bytes: nothing, its one topic, or a list of topics kept aside
//
// A topic costs some 60 bytes beyond its subscribers; a name of more than 15 bytes is kept once.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "topics/subscriber_set.h"

namespace holdfast::topics {

// Told when a topic gets its first subscriber here and when it loses its last one.
class TopicListener {
 public:
  virtual ~TopicListener() = default;
  virtual void topic_began(std::string_view topic) = 0;
  virtual void topic_ended(std::string_view topic) = 0;
};

// Used by one thread.
class TopicIndex {
 public:
  // Room for subscribers below `subscribers`: address space alone. `listener` may be null and
  // outlives the index; the index's own end tells it nothing.
  explicit TopicIndex(std::uint32_t subscribers, TopicListener* listener = nullptr);
  ~TopicIndex();
  TopicIndex(const TopicIndex&) = delete;
  TopicIndex& operator=(const TopicIndex&) = delete;

  // False when it was subscribed already, or not.
  bool subscribe(std::uint32_t subscriber, std::string_view topic);
  bool unsubscribe(std::uint32_t subscriber, std::string_view topic);
  void unsubscribe_all(std::uint32_t subscriber);
  bool is_subscribed(std::uint32_t subscriber, std::string_view topic) const;

  // Calls visit(subscriber) for each, in rising order. `visit` may unsubscribe nobody.
  template <class Visit>
  void for_each(std::string_view topic, Visit visit) const {
    const auto found = ids_.find(topic);
    if (found != ids_.end()) topics_[*found].subscribers.for_each(visit);
  }
  // Calls visit(topic, subscribers) for each topic, in no order. `visit` changes nothing here.
  template <class Visit>
  void for_each_topic(Visit visit) const {
    for (const std::uint32_t id : ids_)
      visit(std::string_view(topics_[id].name), topics_[id].subscribers.size());
  }
  // The topics of one subscriber, in the order in which it subscribed; views that live until the
  // next change.
  std::vector<std::string_view> topics_of(std::uint32_t subscriber) const;
  std::size_t topic_count() const { return ids_.size(); }
  std::uint64_t subscriber_count(std::string_view topic) const;

 private:
  struct Topic {
    std::string name = {};
    SubscriberSet subscribers = {};  // empty: this place is free
  };
  using Topics = std::vector<Topic>;
  // An id stands in the set for its topic's name, which is kept in `topics` alone.
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    const Topics* topics;
    std::size_t operator()(std::string_view name) const {
      return boost::hash<std::string_view>()(name);
    }
    std::size_t operator()(std::uint32_t id) const { return (*this)((*topics)[id].name); }
  };
  struct IsSame {
    using is_transparent = void;
    const Topics* topics;
    bool operator()(std::uint32_t left, std::uint32_t right) const { return left == right; }
    bool operator()(std::string_view name, std::uint32_t id) const {
      return (*topics)[id].name == name;
    }
    bool operator()(std::uint32_t id, std::string_view name) const { return (*this)(name, id); }
  };

  std::uint32_t id_of(std::string_view topic);
  void remember(std::uint32_t subscriber, std::uint32_t id);
  void forget(std::uint32_t subscriber, std::uint32_t id);
  bool leave(std::uint32_t subscriber, std::uint32_t id);

  TopicListener* listener_;
  std::uint32_t* chosen_;  // 0: none; id + 1: one topic; kListed | place: lists_[place]
  Topics topics_;
  boost::unordered_flat_set<std::uint32_t, Hash, IsSame> ids_;
  std::vector<std::uint32_t> free_ids_;
  std::vector<std::vector<std::uint32_t>> lists_;
  std::vector<std::uint32_t> free_lists_;
};

}  // namespace holdfast::topics
