#include "server/windows.h"

#include <algorithm>
#include <utility>

namespace holdfast::server {
namespace {

// A window that holds so much ends early: batching has done its work by then.
constexpr std::size_t kWindowBytesMax = 256 * 1024;
// Where newer values came, empty places stay behind: no more than there are keys, and so many.
// Those of a long window would be without end.
constexpr std::size_t kEmptyPlacesMax = 32;

}  // namespace

std::string Windows::key_of(std::string_view topic, const SubscribeOptions& options) {
  std::string key(topic);
  if (options.window.count() <= 0) return key;
  key += '\0';
  key += std::to_string(options.window.count());
  if (options.conflate) key += 'c';
  return key;
}

void Windows::open(std::string_view topic, const SubscribeOptions& options) {
  auto window = std::make_unique<Window>();
  window->key = key_of(topic, options);
  window->length = options.window;
  if (options.conflate) window->newest = std::make_unique<Newest>();
  window->due = due_.end();
  windows_[std::string(topic)].push_back(std::move(window));
}

void Windows::close(std::string_view key) {
  const auto found = windows_.find(std::string(topic_of(key)));
  if (found == windows_.end()) return;
  auto& windows = found->second;
  const auto gone = std::find_if(windows.begin(), windows.end(),
                                 [&](const auto& window) { return window->key == key; });
  if (gone == windows.end()) return;
  forget_due(**gone);
  windows.erase(gone);
  if (windows.empty()) windows_.erase(found);
}

std::vector<std::string> Windows::keys_of(std::string_view topic) const {
  std::vector<std::string> keys;
  if (windows_.empty()) return keys;
  if (const auto found = windows_.find(std::string(topic)); found != windows_.end()) {
    for (const auto& window : found->second) keys.push_back(window->key);
  }
  return keys;
}

std::uint32_t Windows::add(std::string_view topic, std::span<const broker::SharedPublication> run,
                           Instant now) {
  std::uint32_t replaced = 0;
  if (windows_.empty()) return replaced;
  const auto found = windows_.find(std::string(topic));
  if (found == windows_.end()) return replaced;
  for (const auto& window : found->second) {
    for (const broker::SharedPublication& publication : run) add(*window, publication, replaced);
    make_due(*window, window->bytes >= kWindowBytesMax ? now : now + window->length);
  }
  return replaced;
}

void Windows::add(Window& window, const broker::SharedPublication& publication,
                  std::uint32_t& replaced) {
  if (window.newest != nullptr && take_place_of_older(window, *publication)) ++replaced;
  window.bytes += publication->wire.size();
  window.waiting.push_back(publication);
}

// For one that will stand behind all that waits: so a subscriber sees the values in the order of
// their birth. False when none of its key waits.
bool Windows::take_place_of_older(Window& window, const broker::Publication& publication) {
  Newest& newest = *window.newest;
  Batch& waiting = window.waiting;
  if (waiting.size() >= 2 * newest.size() + kEmptyPlacesMax) {
    std::erase(waiting, nullptr);
    for (std::size_t i = 0; i < waiting.size(); ++i) newest[waiting[i]->key] = i;
  }
  const auto [known, is_first] = newest.try_emplace(publication.key, waiting.size());
  if (is_first) return false;
  broker::SharedPublication& older = waiting[known->second];
  window.bytes -= older->wire.size();
  newest.erase(known);  // its key goes with the older one
  older.reset();
  newest.emplace(publication.key, waiting.size());
  return true;
}

// A window begins with its first message; one that is full ends at once.
void Windows::make_due(Window& window, Instant at) {
  if (window.due != due_.end() && window.due->first <= at) return;
  forget_due(window);
  window.due = due_.emplace(at, &window);
}

void Windows::forget_due(Window& window) {
  if (window.due == due_.end()) return;
  due_.erase(window.due);
  window.due = due_.end();
}

// What it holds; it is empty then, and begins anew with its next message.
Windows::Batch Windows::take(Window& window) {
  forget_due(window);
  window.bytes = 0;
  Batch batch = std::exchange(window.waiting, {});
  if (window.newest != nullptr) {
    *window.newest = {};
    std::erase(batch, nullptr);
  }
  return batch;
}

}  // namespace holdfast::server
