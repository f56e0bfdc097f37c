// Any bytes as a query and as the name of a topic, on their way into the index: what is decoded is
// what was encoded, and nobody but its own subscribers is found under a name. The first two bytes
// are the wishes of a subscriber.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/check.h"
#include "holdfast/request.h"
#include "server/topic_name.h"
#include "server/windows.h"
#include "topics/topic_index.h"

using namespace holdfast;
using namespace holdfast::server;

namespace {

class Asked final : public Request {
 public:
  explicit Asked(std::string_view query) : query_(query) {}
  std::string_view method() const override { return "GET"; }
  std::string_view path() const override { return "/"; }
  std::string_view query() const override { return query_; }
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
  Bytes body() const override { return {}; }
  std::string remote_address() const override { return {}; }
  bool from_loopback() const override { return true; }
  std::vector<std::string_view> subprotocols() const override { return {}; }

 private:
  std::string_view query_;
};

// Everything, so that nothing of it can mean anything.
std::string encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789aBCdEf";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return result;
}

bool is_plain(std::string_view text) {
  return text.find_first_of("%+&=") == std::string_view::npos;
}

void check_query(std::string_view text) {
  const Asked asked(text);
  const auto topic = asked.parameter("topic");
  if (topic) CHECK(topic->size() < text.size());
  // A name in front of it hides it, if it is the same.
  const std::string query = "x=1&" + encoded("topic") + '=' + encoded(text) + "&topic=other&x";
  CHECK(Asked(query).parameter("topic") == text);
  CHECK(Asked(query).parameter("x") == "1");
  CHECK(!Asked(query).parameter("y"));
  if (is_plain(text)) CHECK(Asked("topic=" + std::string(text)).parameter("topic") == text);
}

std::vector<std::uint32_t> found_under(const topics::TopicIndex& index, std::string_view key) {
  std::vector<std::uint32_t> found;
  index.for_each(key, [&](std::uint32_t subscriber) { found.push_back(subscriber); });
  return found;
}

void check_name(const std::string& name, const SubscribeOptions& wishes) {
  const std::string key = Windows::key_of(name, wishes);
  // A key in the place of a name is no name, or anybody could listen in somebody's window.
  CHECK(is_topic(key) == (is_topic(name) && wishes.window.count() == 0));
  if (!is_topic(name)) return;
  CHECK(Windows::topic_of(key) == name);
  SubscribeOptions others = wishes;
  others.window += std::chrono::milliseconds(1);
  const std::array<std::string, 3> keys = {key, Windows::key_of(name, others),
                                           Windows::key_of(name + "1", wishes)};
  topics::TopicIndex index(keys.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) CHECK(index.subscribe(i, keys[i]));
  for (std::uint32_t i = 0; i < keys.size(); ++i)
    CHECK(found_under(index, keys[i]) == std::vector<std::uint32_t>{i});
  // The windows of a topic are found by its name.
  if (wishes.window.count() == 0) return;
  Windows windows;
  windows.open(name, wishes);
  CHECK(windows.keys_of(name) == std::vector<std::string>{key});
  CHECK(windows.keys_of(name + "1").empty());
  windows.close(key);
  CHECK(windows.is_empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const SubscribeOptions wishes{.window = std::chrono::milliseconds(data[0] * 4),
                                .conflate = (data[1] & 1) != 0};
  // In memory of its own size.
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  check_query(text);
  check_name(text, wishes);
  const auto topic = Asked(text).parameter("topic");
  if (topic) check_name(*topic, wishes);
  return 0;
}
