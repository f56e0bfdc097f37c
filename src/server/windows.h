#pragma once

// Subscribers who take the messages of a topic together: what comes within a window leaves as one
// write, and those who ask for it get only the newest value of each key.
//
// Subscribers of one topic with the same wishes form a Window. Its key is a topic of its own in the
// worker's TopicIndex: the name, a zero byte, the wishes. So a Window costs memory once, and a
// subscriber no more than any other. Whoever is under the key when the Window ends gets what it
// holds; so it ends before somebody comes, who gets only what is published from then on, and before
// somebody leaves it for another. One who unsubscribes wants no more: with the last one goes what
// waits.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/time.h"
#include "broker/publication.h"
#include "holdfast/handler.h"

namespace holdfast::server {

class Windows {
 public:
  using Batch = std::vector<broker::SharedPublication>;

  // The key under which a subscriber with these wishes is found, `topic` itself when it has none.
  static std::string key_of(std::string_view topic, const SubscribeOptions& options);
  // The topic in a key.
  static std::string_view topic_of(std::string_view key) { return key.substr(0, key.find('\0')); }

  // The first subscriber of this key came, the last one went.
  void open(std::string_view topic, const SubscribeOptions& options);
  void close(std::string_view key);
  // The keys of a topic's windows.
  std::vector<std::string> keys_of(std::string_view topic) const;

  // Messages of one topic, in their order. Returns how many older values they took the place of.
  std::uint32_t add(std::string_view topic, std::span<const broker::SharedPublication> run,
                    Instant now);
  Instant next_due() const { return due_.empty() ? kNever : due_.begin()->first; }
  // Calls deliver(key, batch) for each window that is due.
  template <class Deliver>
  void run(Instant now, Deliver deliver) {
    while (!due_.empty() && due_.begin()->first <= now) {
      Window& window = *due_.begin()->second;
      deliver(std::string_view(window.key), take(window));
    }
  }
  // Ends before their time those of a topic's windows that hold anything and of which
  // is_wanted(key). `deliver`, as above, opens and closes none.
  template <class IsWanted, class Deliver>
  void end_early(std::string_view topic, IsWanted is_wanted, Deliver deliver) {
    if (windows_.empty()) return;
    const auto found = windows_.find(std::string(topic));
    if (found == windows_.end()) return;
    for (const auto& window : found->second) {
      const std::string_view key = window->key;
      if (window->due != due_.end() && is_wanted(key)) deliver(key, take(*window));
    }
  }
  bool is_empty() const { return windows_.empty(); }

 private:
  struct Window;
  using Due = std::multimap<Instant, Window*>;
  // Where in `waiting` each key's value stands; the key lies there too.
  using Newest = boost::unordered_flat_map<std::string_view, std::size_t>;
  struct Window {
    std::string key;
    Duration length;
    std::unique_ptr<Newest> newest;  // null: it does not conflate
    Due::iterator due;               // its place in due_ while it holds anything, else the end
    std::size_t bytes = 0;
    Batch waiting;  // null: a newer value came
  };

  void add(Window& window, const broker::SharedPublication& publication, std::uint32_t& replaced);
  static bool take_place_of_older(Window& window, const broker::Publication& publication);
  void make_due(Window& window, Instant at);
  void forget_due(Window& window);
  Batch take(Window& window);

  boost::unordered_flat_map<std::string, std::vector<std::unique_ptr<Window>>>
      windows_;  // by topic
  Due due_;
};

}  // namespace holdfast::server
