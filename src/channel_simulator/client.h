#pragma once

// One connection of a tab: what it says, and what it makes of what it hears. It fails the run at
// the first message that repeats, contradicts or skips what it was told before.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "channel_simulator/record.h"
#include "channel_simulator/tab.h"
#include "channel_simulator/truth.h"
#include "protocol/http_response.h"
#include "protocol/session.h"
#include "simulator/link.h"
#include "simulator/world.h"

namespace holdfast::channel_simulator {

using simulator::Link;

// How often things came about.
struct Tally {
  std::uint64_t connected, succeeded, refused, added, removed, events, own, recovered, lost, cached,
      missed_cache, counts, online, offline, closed_slow, closed_drain, closed_silent,
      closed_by_app, rests;
};

// What clients are held against.
struct Yardstick {
  World& world;
  Record& record;
  Tally& tally;
  // Of the app in force.
  Duration history_age;
  std::uint32_t history_events;
  std::uint64_t recovery_bytes;  // what must be told at once
  bool is_terminated = false;    // the app has ended somebody's connections
  bool may_be_too_busy = false;  // mailboxes are small
};

class Client {
 public:
  // The link is new; the upgrade is on its way when this returns. All outlive the client.
  Client(const Yardstick& yardstick, Tab& tab, Link& link);

  // Says or does something, or not.
  void act();
  void read(std::size_t bytes_max);
  // What it said reaches the server.
  void deliver();
  // Reads all and answers at once, if it is of that sort; when all is calm all do but the deaf.
  void keep_up();

  int number() const { return link_.id; }
  PeerId id() const { return id_; }
  const Tab& tab() const { return tab_; }
  bool is_over() const { return is_over_; }
  bool is_established() const { return static_cast<bool>(id_); }
  bool has_vanished() const { return pace_ == Pace::kVanished; }
  // All that was on its way has arrived: does it know all that is true?
  void check(const Truth& truth);

 private:
  enum class Pace : std::uint8_t { kPrompt, kSlow, kDeaf, kVanished };
  // Its time on a channel.
  struct Stint {
    bool said_on = false;  // the last that it said of the channel
    bool is_live = false;  // and was told so
    bool is_refused = false;
    bool awaits_newest = false;
    bool is_recovered = false;
    std::uint32_t times = 0;       // that it subscribed; what it recovers may be its own
    std::uint32_t unanswered = 0;  // of them
    std::optional<Place> asked = {};
    std::map<std::string, std::string> members = {};
    // The index of the last event that it heard, or of its place.
    std::optional<std::ptrdiff_t> last = {};
    std::size_t known_from = 0;  // without it: those from here on must come
    std::uint64_t count = 0;
  };

  // client_says.cc
  void say(const std::string& bytes) { link_.in_flight += bytes; }
  void say_text(const std::string& text);
  void write_frame(protocol::Opcode opcode, std::string payload);
  void say_close(std::uint16_t code);
  void subscribe(std::string_view channel);
  void unsubscribe(std::string_view channel);
  void sign_in();
  void say_event();
  void leave();
  void vanish();
  std::string_view any_channel(bool said_on);
  std::string user_data() const;
  std::string id_text() const;
  bool may_say() const;

  // client_hears.cc
  void hear(std::string bytes);
  void hear_response();
  void hear_frame(const protocol::Event& event);
  void hear_text(std::string_view text);
  void hear_of_channel(Stint& stint, std::string_view name, const nlohmann::json& message);
  void hear_succeeded(Stint& stint, const std::string& channel, const nlohmann::json& data);
  void hear_presence(Stint& stint, const nlohmann::json& presence);
  void hear_member(Stint& stint, bool is_added, const nlohmann::json& data);
  void hear_event(Stint& stint, const std::string& channel, const nlohmann::json& message);
  void hear_newest(Stint& stint, const Said& said);
  void hear_watchlist(const nlohmann::json& data);
  void hear_close(std::uint16_t code);
  void check_stint(const Truth& truth, std::string_view channel, const Stint& stint);
  // From its second channel on.
  bool is_deaf() const { return pace_ == Pace::kDeaf && stints_.size() >= 2; }
  bool is_strict() const { return yardstick_.record.lost() == 0; }
  void fail(std::string_view what) const;

  const Yardstick& yardstick_;
  World& world_;
  Tab& tab_;
  Link& link_;
  Pace pace_;

  protocol::HttpLimits http_limits_;
  protocol::SessionLimits session_limits_{1u << 20, 1u << 16};
  protocol::HttpResponseParser responses_;
  protocol::Session session_;
  std::string key_, socket_id_;
  PeerId id_;
  bool is_upgraded_ = false, is_over_ = false, said_end_ = false, said_close_ = false,
       heard_close_ = false, said_sign_in_ = false, is_signed_in_ = false;
  std::map<std::string, Stint, std::less<>> stints_;
  std::map<std::string, bool> online_;  // of the watchlist, as it was told
};

}  // namespace holdfast::channel_simulator
