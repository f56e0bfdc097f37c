#include "channel_simulator/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "channel_simulator/channels.h"
#include "pusher/hub.h"
#include "server/worker.h"

namespace holdfast::channel_simulator {
namespace {

using Json = nlohmann::json;

// RFC 6455 5.2, as the server writes it.
std::size_t header_bytes(Bytes frame) {
  const auto length = std::to_integer<int>(frame[1]);
  return length < 126 ? 2 : length == 126 ? 4 : 10;
}

}  // namespace

std::string_view text_of(Bytes frame) { return as_text(frame.subspan(header_bytes(frame))); }

const Said* Record::said(std::uint32_t number) const {
  const auto found = all_.find(number);
  return found == all_.end() ? nullptr : &found->second;
}

const std::vector<const Said*>& Record::log(std::string_view channel) const {
  static const std::vector<const Said*> kNone;
  const auto found = logs_.find(channel);
  return found == logs_.end() ? kNone : found->second;
}

std::optional<std::ptrdiff_t> Record::index_of(std::string_view channel, const Place& place) const {
  const auto& events = log(channel);
  const std::uint64_t wanted = std::max<std::uint64_t>(place.serial, 1);
  const auto found = std::find_if(events.rbegin(), events.rend(), [&](const Said* one) {
    return one->place == Place{place.epoch, wanted};
  });
  if (found == events.rend()) return std::nullopt;
  return (*found)->index - (place.serial == 0 ? 1 : 0);
}

bool Record::must_know(std::string_view channel, const Place& place, Duration age,
                       std::uint32_t events_max, std::uint64_t bytes_max) const {
  const auto index = index_of(channel, place);
  if (place.serial == 0 || !index) return false;
  const auto& events = log(channel);
  const Said& last_heard = *events[static_cast<std::size_t>(*index)];
  if (last_heard.at + age <= world_.now || last_heard.at <= forgotten_at_) return false;
  std::uint64_t bytes = 0;
  for (std::size_t i = static_cast<std::size_t>(*index) + 1; i < events.size(); ++i)
    bytes += events[i]->bytes;
  return events.size() - static_cast<std::size_t>(*index) <= events_max && bytes < bytes_max;
}

std::uint32_t Record::publish(broker::SharedPublication publication) {
  note(*publication);
  const std::uint32_t refused = broker_.publish(std::move(publication));
  lost_ += refused;
  posted_();
  return refused;
}

bool Record::publish(std::string_view topic, MessageKind kind, Bytes payload,
                     const PublishOptions& options) {
  return publish(server::make_publication(topic, kind, payload, options)) == 0;
}

void Record::note(const broker::Publication& publication) {
  const std::string_view text = text_of(publication.wire.bytes());
  world_.trace.print("published {}", text);
  const Json message = Json::parse(text);
  const std::string name = message.at("event");
  if (name != "e" && name != "client-e") return;
  const Json& data = message.at("data");
  const auto number = static_cast<std::uint32_t>(
      data.is_string() ? std::stoul(data.get<std::string>()) : data.get<std::uint64_t>());
  auto& events = logs_[message.at("channel").get<std::string>()];
  Said said{number,    message.at("channel"), static_cast<std::ptrdiff_t>(events.size()),
            {},        publication.except,    text.size(),
            world_.now};
  if (message.contains("serial"))
    said.place = {pusher::parse_epoch(message.at("epoch").get<std::string>()),
                  message.at("serial")};
  check_serial(said);
  const auto [at, is_new] = all_.emplace(number, std::move(said));
  if (!is_new) return world_.trace.fail(fmt::format("event {} was published twice", number));
  events.push_back(&at->second);
  world_.note(What::kPublish, -1, -1, number);
}

// Serials count without a gap, and an epoch is never taken up again.
void Record::check_serial(const Said& said) {
  const bool is_kept = said.channel.find("kept") != std::string::npos;
  if (is_kept != (said.place.epoch != 0))
    return world_.trace.fail(fmt::format("event {}: a serial on the wrong channel", said.number));
  const auto& events = log(said.channel);
  if (!is_kept || (events.empty() && said.place.serial == 1)) return;
  const Place last = events.empty() ? Place{} : events.back()->place;
  if (said.place == Place{last.epoch, last.serial + 1}) return;
  const bool is_new =
      said.place.serial == 1 && std::none_of(events.begin(), events.end(), [&](const Said* one) {
        return one->place.epoch == said.place.epoch;
      });
  if (!is_new)
    world_.trace.fail(
        fmt::format("{}: the serial {} follows {}", said.channel, said.place.serial, last.serial));
}

void Record::gain_interest(std::uint32_t worker, std::string_view topic) {
  ++interest_[{worker, std::string(topic)}];
  broker_.gain_interest(worker, topic);
}

void Record::lose_interest(std::uint32_t worker, std::string_view topic) {
  const auto found = interest_.find({worker, std::string(topic)});
  CHECK(found != interest_.end());
  if (--found->second == 0) interest_.erase(found);
  broker_.lose_interest(worker, topic);
}

}  // namespace holdfast::channel_simulator
