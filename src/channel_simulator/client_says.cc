// What a client says.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "channel_simulator/channels.h"
#include "channel_simulator/client.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "pusher/server_message.h"
#include "pusher/signature.h"

namespace holdfast::channel_simulator {

using protocol::Opcode;
using pusher::json_string;

Client::Client(const Yardstick& yardstick, Tab& tab, Link& link)
    : yardstick_(yardstick),
      world_(yardstick.world),
      tab_(tab),
      link_(link),
      responses_(&http_limits_),
      session_(protocol::Role::kClient, &session_limits_) {
  http_limits_.body_bytes_max = 1u << 20;
  const simulator::Odds& odds = world_.scenario.odds;
  pace_ = world_.strikes(odds.deaf_peer / 2) ? Pace::kDeaf
          : world_.strikes(odds.slow_peer)   ? Pace::kSlow
                                             : Pace::kPrompt;
  std::array<std::byte, 16> bytes;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(world_.random.below(256));
  key_ = protocol::make_key(bytes);
  say(
      fmt::format("GET /app/{}?protocol=7&client=js HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: {}\r\n\r\n",
                  kKey, key_));
}

bool Client::may_say() const {
  return !said_end_ && !said_close_ && !heard_close_ && !has_vanished() && link_.failure == 0;
}

void Client::act() {
  if (is_over_ || has_vanished()) return;
  if (world_.strikes(world_.scenario.odds.vanishing_peer) && world_.random.chance(5))
    return vanish();
  if (world_.random.chance(2)) return leave();
  if (!may_say() || !is_established()) return;
  constexpr std::array<unsigned, 7> kChoices = {40, 12, 10, 20, 8, 5, 1};
  switch (world_.random.weighted(kChoices)) {
    case 0:
      return subscribe(any_channel(false));
    case 1:
      return unsubscribe(any_channel(true));
    case 2: {
      // Off and on again in one breath.
      const std::string channel(any_channel(true));
      unsubscribe(channel);
      return subscribe(channel);
    }
    case 3:
      return say_event();
    case 4:
      return sign_in();
    case 5:
      return say_text(R"({"event":"pusher:ping","data":{}})");
    default:
      return say_close(1000);
  }
}

// One that it is on, or is not; empty: there is none.
std::string_view Client::any_channel(bool said_on) {
  std::vector<std::string_view> all;
  for (const std::string_view channel : kChannels) {
    const auto found = stints_.find(channel);
    if ((found != stints_.end() && found->second.said_on) == said_on) all.push_back(channel);
  }
  return all.empty() ? "" : all[world_.random.below(all.size())];
}

std::string Client::id_text() const {
  return tab_.says_id_as_number ? tab_.user : json_string(tab_.user);
}

std::string Client::user_data() const {
  std::string watched;
  for (const std::string& user : tab_.watchlist)
    watched += (watched.empty() ? "" : ",") + json_string(user);
  return fmt::format(R"({{"id":{},"user_info":{},"watchlist":[{}]}})", id_text(), tab_.info,
                     watched);
}

void Client::subscribe(std::string_view channel) {
  if (channel.empty()) return;
  std::string fields = fmt::format(R"("channel":"{}")", channel);
  if (pusher::classify(channel).needs_signature()) {
    // One who has signed in need not say again who it is.
    std::optional<std::string> who;
    if (is_presence(channel) && !(said_sign_in_ && world_.random.chance(50)))
      who = fmt::format(R"({{"user_id":{},"user_info":{}}})", id_text(), tab_.info);
    const std::string text = pusher::text_to_join(socket_id_, channel, who);
    fields += fmt::format(R"(,"auth":"{}:{}")", kKey, pusher::sign(kSecret, text));
    if (who) fields += R"(,"channel_data":)" + json_string(*who);
  }
  Stint& stint = stints_[std::string(channel)];
  stint.said_on = true;
  stint.is_live = stint.is_refused = stint.awaits_newest = false;
  stint.asked.reset();
  ++stint.times;
  ++stint.unanswered;
  auto& places = tab_.places[std::string(channel)];
  if (!places.empty() && world_.random.chance(80)) {
    // Sometimes from further back.
    stint.asked =
        world_.random.chance(80) ? places.back() : places[world_.random.below(places.size())];
    fields += fmt::format(R"(,"recover":{{"serial":{},"epoch":"{}"}})", stint.asked->serial,
                          pusher::epoch_text(stint.asked->epoch));
  }
  say_text(fmt::format(R"({{"event":"pusher:subscribe","data":{{{}}}}})", fields));
}

void Client::unsubscribe(std::string_view channel) {
  if (channel.empty()) return;
  Stint& stint = stints_[std::string(channel)];
  stint.said_on = stint.is_live = stint.awaits_newest = false;
  say_text(fmt::format(R"({{"event":"pusher:unsubscribe","data":{{"channel":"{}"}}}})", channel));
}

void Client::sign_in() {
  if (said_sign_in_ || !tab_.signs_in) return;
  said_sign_in_ = true;
  const std::string data = user_data();
  const std::string auth = pusher::sign(kSecret, pusher::text_to_sign_in(socket_id_, data));
  say_text(fmt::format(R"({{"event":"pusher:signin","data":{{"auth":"{}:{}","user_data":{}}}}})",
                       kKey, auth, json_string(data)));
}

void Client::say_event() {
  const std::string_view channel = any_channel(true);
  if (channel.empty() || !takes_client_events(channel) || !stints_.find(channel)->second.is_live)
    return;
  say_text(fmt::format(R"({{"event":"client-e","channel":"{}","data":{}}})", channel,
                       yardstick_.record.next_number()));
}

void Client::say_text(const std::string& text) {
  world_.trace.print("client {} says {}", link_.id, text);
  write_frame(Opcode::kText, text);
}

void Client::write_frame(Opcode opcode, std::string payload) {
  std::byte header[protocol::kFrameHeaderBytesMax];
  protocol::MaskKey mask;
  for (std::byte& byte : mask) byte = static_cast<std::byte>(world_.random.below(256));
  const std::size_t size =
      protocol::write_frame_header(header, opcode, true, payload.size(), &mask);
  protocol::apply_mask({reinterpret_cast<std::byte*>(payload.data()), payload.size()}, mask);
  world_.note(What::kPeerSays, link_.worker, link_.id, static_cast<int>(opcode),
              static_cast<std::int64_t>(payload.size()));
  say(std::string(as_text({header, size})) + payload);
}

void Client::say_close(std::uint16_t code) {
  write_frame(Opcode::kClose, {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)});
  said_close_ = true;
}

void Client::leave() {
  if (said_end_ || link_.failure != 0) return;
  said_end_ = true;
  if (world_.random.chance(50)) {
    world_.note(What::kPeerEnds, link_.worker, link_.id);
    link_.fin_in_flight = true;
    return;
  }
  world_.note(What::kPeerResets, link_.worker, link_.id);
  is_over_ = true;
  link_.failure = ECONNRESET;
  link_.in_flight.clear();
  if (world_.random.chance(50)) link_.arrived.clear();
}

// Not a word any more, and no pong. It hears on, so that what it knows can be looked at.
void Client::vanish() {
  world_.note(What::kPeerVanishes, link_.worker, link_.id);
  deliver();
  pace_ = Pace::kVanished;
}

void Client::deliver() {
  if (has_vanished()) return;
  if (!link_.in_flight.empty()) {
    world_.note(What::kArrive, link_.worker, link_.id,
                static_cast<std::int64_t>(link_.in_flight.size()));
    if (link_.stage == Link::Stage::kBacklog || link_.stage == Link::Stage::kHeld)
      link_.arrived += link_.in_flight;
    link_.in_flight.clear();
  }
  if (link_.fin_in_flight) link_.fin_arrived = true;
}

void Client::keep_up() {
  if (pace_ == Pace::kSlow && !world_.is_calm) return;
  read(SIZE_MAX);
  deliver();
}

}  // namespace holdfast::channel_simulator
