// What a client makes of what it hears.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "channel_simulator/channels.h"
#include "channel_simulator/client.h"
#include "protocol/handshake.h"
#include "pusher/hub.h"

namespace holdfast::channel_simulator {
namespace {

using Json = nlohmann::json;
using protocol::Event;

constexpr std::size_t kPlacesMax = 8;

// `data` may be an object or its text.
Json data_of(const Json& message) {
  const auto found = message.find("data");
  if (found == message.end()) return Json::object();
  return found->is_string() ? Json::parse(found->get<std::string>()) : *found;
}

Place place_of(const Json& object) {
  if (!object.is_object() || !object.contains("serial")) return {};
  return {pusher::parse_epoch(object.at("epoch").get<std::string>()), object.at("serial")};
}

}  // namespace

void Client::fail(std::string_view what) const {
  world_.trace.fail(
      fmt::format("client {} (user {}, worker {}): {}", link_.id, tab_.user, link_.worker, what));
}

void Client::read(std::size_t bytes_max) {
  if (is_over_ || is_deaf()) return;
  const std::size_t size = std::min(bytes_max, link_.outbound.size());
  if (size > 0) {
    world_.note(What::kPeerReads, link_.worker, link_.id, static_cast<std::int64_t>(size));
    std::string bytes = link_.outbound.substr(0, size);
    link_.outbound.erase(0, size);
    hear(std::move(bytes));
  }
  const bool is_ended = link_.is_shut || link_.is_reset || link_.failure != 0;
  if (!link_.outbound.empty() || !is_ended) return;
  is_over_ = true;
  said_end_ = true;
  link_.fin_in_flight = true;
}

void Client::hear(std::string bytes) {
  MutableBytes input(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  while (!is_upgraded_ && !input.empty()) {
    Bytes rest = input;
    const auto progress = responses_.feed(rest);
    input = input.last(rest.size());
    if (progress == protocol::HttpProgress::kMore) return;
    if (progress == protocol::HttpProgress::kError) return fail("a response that cannot be read");
    hear_response();
    responses_.reset();
    if (is_over_) return;
  }
  while (const auto event = session_.next(input)) {
    hear_frame(*event);
    if (world_.trace.failed()) return;
  }
}

void Client::hear_response() {
  const int status = responses_.response().status;
  if (status == 101) {
    is_upgraded_ = true;
    return;
  }
  if (status != 503 && status != 408) return fail(fmt::format("refused with status {}", status));
  is_over_ = true;
  said_end_ = true;
  link_.fin_in_flight = true;
}

void Client::hear_frame(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kText:
      return hear_text(as_text(event.payload));
    case Event::Kind::kPing:
      if (may_say()) write_frame(protocol::Opcode::kPong, {});
      return;
    case Event::Kind::kClose:
      return hear_close(event.code);
    case Event::Kind::kBinary:
    case Event::Kind::kPong:
      return fail("a frame that the protocol does not have");
    case Event::Kind::kViolation:
      return fail(fmt::format("the server broke the protocol: {}", event.reason));
  }
}

void Client::hear_close(std::uint16_t code) {
  heard_close_ = true;
  Tally& tally = yardstick_.tally;
  switch (code) {
    case 4100:
      ++tally.closed_slow;
      if (link_.facts.short_at == Instant{} && !yardstick_.may_be_too_busy)
        fail("closed as too slow, and is not");
      break;
    case 4200:
      ++tally.closed_drain;
      if (!world_.is_draining) fail("closed by a drain that is none");
      break;
    case 4201:
      ++tally.closed_silent;
      break;
    case 4009:
      ++tally.closed_by_app;
      if (!yardstick_.is_terminated) fail("closed by nobody");
      break;
    default:
      if (!said_close_) fail(fmt::format("closed with code {}", code));
  }
  if (!said_close_ && !said_end_ && !has_vanished() && link_.failure == 0) say_close(code);
}

void Client::hear_text(std::string_view text) {
  world_.trace.print("client {} hears {}", link_.id, text);
  const Json message = Json::parse(text);
  const std::string name = message.at("event");
  if (name == "pusher:connection_established") {
    socket_id_ = data_of(message).at("socket_id").get<std::string>();
    id_ = pusher::peer_of(socket_id_);
    ++yardstick_.tally.connected;
    return;
  }
  if (name == "pusher:pong") return;
  if (name == "pusher:signin_success") {
    is_signed_in_ = true;
    return;
  }
  if (name == "pusher_internal:watchlist_events") return hear_watchlist(data_of(message));
  if (name == "pusher:error") return fail(fmt::format("is told {}", text));
  if (!message.contains("channel")) return fail(fmt::format("hears {}", text));
  const std::string channel = message.at("channel");
  const auto found = stints_.find(channel);
  if (found == stints_.end()) return fail(fmt::format("hears of {}, where it never was", channel));
  if (name == "pusher_internal:subscription_succeeded")
    return hear_succeeded(found->second, channel, data_of(message));
  hear_of_channel(found->second, name, message);
}

void Client::hear_of_channel(Stint& stint, std::string_view name, const Json& message) {
  const std::string channel = message.at("channel");
  if (name == "pusher:subscription_error") {
    ++yardstick_.tally.refused;
    if (stint.unanswered == 0) return fail(fmt::format("{}: refused what it did not ask", channel));
    --stint.unanswered;
    stint.is_refused = stint.said_on;
    stint.is_live = false;
    return;
  }
  // Of a time there that it has ended, or that it does not know to have begun.
  if (!stint.is_live) {
    if (stint.times == 1 && stint.said_on && !stint.is_refused)
      fail(fmt::format("hears of {} before its answer", channel));
    return;
  }
  if (name == "pusher:cache_miss") {
    if (!stint.awaits_newest) return fail("a cache_miss that answers nothing");
    ++yardstick_.tally.missed_cache;
    stint.awaits_newest = false;
    if (!stint.last) stint.last = -1;
    return;
  }
  if (name == "e" || name == "client-e") return hear_event(stint, channel, message);
  if (stint.awaits_newest)
    return fail(fmt::format("{}: neither its last event nor a miss", channel));
  if (name == "pusher_internal:member_added") return hear_member(stint, true, data_of(message));
  if (name == "pusher_internal:member_removed") return hear_member(stint, false, data_of(message));
  if (name != "pusher_internal:subscription_count") return fail(fmt::format("hears {}", name));
  ++yardstick_.tally.counts;
  stint.count = data_of(message).at("subscription_count");
}

void Client::hear_succeeded(Stint& stint, const std::string& channel, const Json& data) {
  if (stint.unanswered == 0) return fail(fmt::format("{}: succeeded twice", channel));
  const bool is_only_one = stint.unanswered == 1;
  --stint.unanswered;
  if (!stint.said_on) return;
  ++yardstick_.tally.succeeded;
  stint.is_live = true;
  stint.is_refused = false;
  stint.count = 0;
  stint.members.clear();
  if (data.contains("presence") != is_presence(channel))
    return fail(fmt::format("{}: succeeded with {}", channel, data.dump()));
  if (is_presence(channel)) hear_presence(stint, data.at("presence"));
  const Place place = place_of(data);
  const bool is_recovered = data.value("recovered", false);
  stint.last = place.epoch == 0 ? std::nullopt : yardstick_.record.index_of(channel, place);
  stint.known_from = yardstick_.record.log(channel).size();
  stint.awaits_newest = is_cache(channel) && !is_recovered;
  stint.is_recovered = is_recovered;
  const bool is_kept = channel.find("kept") != std::string::npos;
  if (is_kept != (place.epoch != 0)) return fail(fmt::format("{}: no place in it", channel));
  if (place.epoch != 0) tab_.places[channel].push_back(place);
  if (!is_only_one) return;
  if (data.contains("recovered") != stint.asked.has_value())
    return fail(fmt::format("{}: an answer to another wish", channel));
  if (!stint.asked) return;
  ++(is_recovered ? yardstick_.tally.recovered : yardstick_.tally.lost);
  if (is_recovered && place != *stint.asked)
    return fail(fmt::format("{}: recovered from another place than its own", channel));
  const bool must =
      pace_ == Pace::kPrompt && link_.facts.short_at == Instant{} &&
      yardstick_.record.must_know(channel, *stint.asked, yardstick_.history_age,
                                  yardstick_.history_events, yardstick_.recovery_bytes);
  if (!is_recovered && must)
    fail(fmt::format("{}: is not told what it missed since {}", channel, stint.asked->serial));
}

void Client::hear_presence(Stint& stint, const Json& presence) {
  const Json& ids = presence.at("ids");
  const Json& hash = presence.at("hash");
  for (const auto& [id, info] : hash.items()) stint.members[id] = info.dump();
  if (ids.size() != hash.size() || presence.at("count") != hash.size() ||
      !std::all_of(ids.begin(), ids.end(),
                   [&](const Json& id) { return hash.contains(id.get<std::string>()); })) {
    return fail(fmt::format("a torn snapshot: {}", presence.dump()));
  }
  if (!stint.members.contains(tab_.user)) fail("is missing from its own snapshot");
}

// Each change once, and no change of what the snapshot has already.
void Client::hear_member(Stint& stint, bool is_added, const Json& data) {
  const std::string user = data.at("user_id");
  ++(is_added ? yardstick_.tally.added : yardstick_.tally.removed);
  if (!is_strict()) {
    if (is_added) stint.members[user] = data.at("user_info").dump();
    if (!is_added) stint.members.erase(user);
    return;
  }
  if (user == tab_.user) return fail("is told of itself that it came or went");
  if (is_added) {
    std::string& info = stint.members[user];
    if (!info.empty()) return fail(fmt::format("user {} came, who was there", user));
    info = data.at("user_info").dump();
  } else if (stint.members.erase(user) == 0) {
    fail(fmt::format("user {} went, who was not there", user));
  }
}

void Client::hear_event(Stint& stint, const std::string& channel, const Json& message) {
  const Json& data = message.at("data");
  const auto number = static_cast<std::uint32_t>(
      data.is_string() ? std::stoul(data.get<std::string>()) : data.get<std::uint64_t>());
  const Said* said = yardstick_.record.said(number);
  if (said == nullptr || said->channel != channel || said->place != place_of(message))
    return fail(fmt::format("event {} is none of {}", number, channel));
  ++yardstick_.tally.events;
  if (stint.awaits_newest) return hear_newest(stint, *said);
  if (said->place.epoch != 0) {
    auto& places = tab_.places[channel];
    places.push_back(said->place);
    if (places.size() > kPlacesMax) places.erase(places.begin());
  }
  if (said->except == id_ && stint.times == 1 && !stint.is_recovered)
    return fail("its own event comes back");
  if (said->except == id_) ++yardstick_.tally.own;
  if (stint.last) {
    if (said->index <= *stint.last)
      return fail(fmt::format("event {} of {} twice, or out of order", number, channel));
    const auto& log = yardstick_.record.log(channel);
    for (auto i = *stint.last + 1; i < said->index && is_strict(); ++i) {
      const Said& skipped = *log[static_cast<std::size_t>(i)];
      if (skipped.except != id_)
        return fail(fmt::format("event {} of {} was lost", skipped.number, channel));
    }
  }
  stint.last = said->index;
}

// The last one before the rest: of a channel with a history, the one at its place.
void Client::hear_newest(Stint& stint, const Said& said) {
  ++yardstick_.tally.cached;
  stint.awaits_newest = false;
  if (stint.last && *stint.last >= 0 && said.index != *stint.last) {
    const Said& at_place =
        *yardstick_.record.log(said.channel)[static_cast<std::size_t>(*stint.last)];
    return fail(fmt::format("the last event of {} is {}, and its place behind {}", said.channel,
                            said.number, at_place.number));
  }
  stint.last = said.index;
}

void Client::hear_watchlist(const Json& data) {
  for (const Json& event : data.at("events")) {
    const bool is_online = event.at("name") == "online";
    for (const Json& user : event.at("user_ids")) {
      ++(is_online ? yardstick_.tally.online : yardstick_.tally.offline);
      online_[user.get<std::string>()] = is_online;
    }
  }
}

// ---- when all is quiet

void Client::check(const Truth& truth) {
  const bool is_open = !is_over_ && is_established() && !heard_close_ && !said_close_ &&
                       !said_end_ && link_.failure == 0 && link_.stage == Link::Stage::kHeld &&
                       !link_.facts.was_ended;
  if (!is_open || is_deaf() || !is_strict()) return;
  for (const auto& [channel, stint] : stints_) check_stint(truth, channel, stint);
  if (said_sign_in_ && !is_signed_in_) return fail("its sign-in was not answered");
  if (!is_signed_in_) return;
  for (const std::string& user : tab_.watchlist) {
    if (online_[user] != truth.is_online(user))
      return fail(fmt::format("believes user {} {}", user, online_[user] ? "online" : "offline"));
  }
}

void Client::check_stint(const Truth& truth, std::string_view channel, const Stint& stint) {
  if (stint.said_on && !stint.is_live && !stint.is_refused)
    return fail(fmt::format("{}: its subscription was not answered", channel));
  if (truth.is_on(link_.id, channel) != (stint.said_on && stint.is_live))
    return fail(fmt::format("{}: believes that it is {}there", channel,
                            stint.said_on && stint.is_live ? "" : "not "));
  if (!stint.said_on || !stint.is_live) return;
  if (stint.awaits_newest) return fail(fmt::format("{}: its last event never came", channel));
  if (is_presence(channel) && stint.members != truth.members(channel)) {
    const auto list = [](const std::map<std::string, std::string>& members) {
      std::string text;
      for (const auto& [user, info] : members) text += fmt::format(" {} {}", user, info);
      return text;
    };
    return fail(fmt::format("{}: believes that there are{}, and there are{}", channel,
                            list(stint.members), list(truth.members(channel))));
  }
  if (!is_presence(channel) && stint.count != truth.subscriptions(channel))
    return fail(fmt::format("{}: believes that {} are on it, and there are {}", channel,
                            stint.count, truth.subscriptions(channel)));
  const auto& log = yardstick_.record.log(channel);
  const auto first = stint.last ? static_cast<std::size_t>(*stint.last + 1) : stint.known_from;
  for (std::size_t i = first; i < log.size(); ++i) {
    if (log[i]->except != id_)
      return fail(fmt::format("event {} of {} never came", log[i]->number, channel));
  }
}

}  // namespace holdfast::channel_simulator
