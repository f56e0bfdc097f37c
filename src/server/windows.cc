#include "server/windows.h"

#include <algorithm>
#include <utility>

namespace holdfast::server {
namespace {

// A window that holds so much ends early: batching has done its work by then.
constexpr std::size_t kWindowBytesMax = 256 * 1024;

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
  window->conflate = options.conflate;
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
  if (window.conflate) {
    const auto older = std::find_if(window.waiting.begin(), window.waiting.end(),
                                    [&](const auto& one) { return one->key == publication->key; });
    if (older != window.waiting.end()) {
      window.bytes -= (*older)->wire.size();
      // The newest comes last, so that a subscriber sees the values in the order of their birth.
      window.waiting.erase(older);
      ++replaced;
    }
  }
  window.bytes += publication->wire.size();
  window.waiting.push_back(publication);
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
  return std::exchange(window.waiting, {});
}

}  // namespace holdfast::server
