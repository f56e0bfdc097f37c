// Any bytes as a list of things that subscribers do, with any bytes as topic names: the index must
// say what a plain map says.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "topics/topic_index.h"

using holdfast::topics::TopicIndex;

namespace {

constexpr std::uint32_t kSubscribers = 32;

// Takes from the front.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}
  bool is_empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // Short names meet often; a long one now and then.
  std::string_view name() {
    const std::uint8_t first = byte();
    const std::size_t size = std::min<std::size_t>(first < 200 ? first % 3 : first, rest_.size());
    const std::string_view name = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return name;
  }

 private:
  std::string_view rest_;
};

using Model = std::map<std::string, std::set<std::uint32_t>, std::less<>>;

bool leave(Model& model, std::string_view topic, std::uint32_t subscriber) {
  const auto found = model.find(topic);
  if (found == model.end() || found->second.erase(subscriber) == 0) return false;
  if (found->second.empty()) model.erase(found);
  return true;
}

void check_same(const TopicIndex& index, const Model& model) {
  CHECK(index.topic_count() == model.size());
  for (const auto& [topic, subscribers] : model) {
    std::vector<std::uint32_t> seen;
    index.for_each(topic, [&seen](std::uint32_t subscriber) { seen.push_back(subscriber); });
    CHECK(std::vector<std::uint32_t>(subscribers.begin(), subscribers.end()) == seen);
    CHECK(index.subscriber_count(topic) == seen.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  TopicIndex index(kSubscribers);
  Model model;
  while (!input.is_empty()) {
    const std::uint8_t deed = input.byte();
    const std::uint32_t subscriber = deed % kSubscribers;
    const std::string_view topic = input.name();
    switch (deed / kSubscribers) {
      case 0:
      case 1:
      case 2:
      case 3:
        CHECK(index.subscribe(subscriber, topic) ==
              model[std::string(topic)].insert(subscriber).second);
        break;
      case 4:
      case 5:
        CHECK(index.unsubscribe(subscriber, topic) == leave(model, topic, subscriber));
        break;
      case 6: {
        index.unsubscribe_all(subscriber);
        const Model before = model;
        for (const auto& [name, subscribers] : before) leave(model, name, subscriber);
        break;
      }
      default:
        check_same(index, model);
    }
  }
  check_same(index, model);
  return 0;
}
