#pragma once

// Who, on this worker, wants which topic. Subscribers are small numbers (a worker uses descriptor
// numbers).
//
//   topic ──► compressed bitmap of subscribers (2 bytes each while few, 8 KiB a 65,536-block when
//   many), walked in rising order subscriber ──► 4 bytes: nothing, its one topic, or a list of
//   topics kept aside

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.h>
#include <boost/unordered/unordered_flat_map.hpp>

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

  // Calls visit(subscriber) for each, in rising order. `visit` may unsubscribe nobody.
  template <class Visit>
  void for_each(std::string_view topic, Visit visit) const {
    const auto found = ids_.find(topic);
    if (found == ids_.end()) return;
    roaring_iterate(
        topics_[found->second].subscribers,
        [](std::uint32_t subscriber, void* argument) {
          (*static_cast<Visit*>(argument))(subscriber);
          return true;
        },
        &visit);
  }
  // Calls visit(topic, subscribers) for each topic, in no order. `visit` changes nothing here.
  template <class Visit>
  void for_each_topic(Visit visit) const {
    for (const auto& [name, id] : ids_)
      visit(std::string_view(name), roaring_bitmap_get_cardinality(topics_[id].subscribers));
  }
  // The topics of one subscriber, in the order in which it subscribed; views that live until the
  // next change.
  std::vector<std::string_view> topics_of(std::uint32_t subscriber) const;
  std::size_t topic_count() const { return ids_.size(); }
  std::uint64_t subscriber_count(std::string_view topic) const;

 private:
  struct Topic {
    std::string name;
    roaring_bitmap_t* subscribers;  // null: this place is free
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const {
      return boost::hash<std::string_view>()(text);
    }
  };

  std::uint32_t id_of(std::string_view topic);
  void remember(std::uint32_t subscriber, std::uint32_t id);
  void forget(std::uint32_t subscriber, std::uint32_t id);
  void leave(std::uint32_t subscriber, std::uint32_t id);

  TopicListener* listener_;
  std::uint32_t* chosen_;  // 0: none; id + 1: one topic; kListed | place: lists_[place]
  boost::unordered_flat_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<Topic> topics_;
  std::vector<std::uint32_t> free_ids_;
  std::vector<std::vector<std::uint32_t>> lists_;
  std::vector<std::uint32_t> free_lists_;
};

}  // namespace holdfast::topics
