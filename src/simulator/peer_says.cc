// What a peer says.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "simulator/handlers.h"
#include "simulator/message.h"
#include "simulator/peer.h"

namespace holdfast::simulator {
namespace {

using protocol::Event;
using protocol::Opcode;

std::string key_of(Random& random) {
  std::array<std::byte, 16> bytes;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return protocol::make_key(bytes);
}

// Not on the wire but in a frame of ours: a byte, a length, as it stands.
std::string raw_frame(std::uint8_t first, std::uint8_t length_bits, std::string_view rest) {
  std::string frame;
  frame += static_cast<char>(first);
  frame += static_cast<char>(length_bits);
  return frame.append(rest);
}

}  // namespace

Peer::Peer(World& world, Ledger& ledger, Link& link, std::uint64_t& publications_missed)
    : world_(world),
      ledger_(ledger),
      link_(link),
      publications_missed_(publications_missed),
      responses_(&http_limits_),
      session_(protocol::Role::kClient, &session_limits_) {
  constexpr std::array<unsigned, 7> kErrands = {15, 30, 35, 10, 6, 2, 2};
  http_limits_.body_bytes_max = 1u << 20;
  errand_ = static_cast<Errand>(world.random.weighted(kErrands));
  const Odds& odds = world.scenario.odds;
  pace_ = world.strikes(odds.deaf_peer)   ? Pace::kDeaf
          : world.strikes(odds.slow_peer) ? Pace::kSlow
                                          : Pace::kPrompt;
  breaks_rules_ = world.strikes(odds.broken_peer);
  says_max_ = static_cast<std::uint32_t>(world.random.between(1, 40));
  if (link_.is_proxied) introduce();
  if (link_.is_header_wrong) return;
  if (link_.is_tls) begin_tls();
  begin();
}

void Peer::say(const std::string& bytes) {
  if (tls_ == nullptr) {
    link_.in_flight += bytes;
    return;
  }
  tls_->say(bytes);
  pass_on();
}

bool Peer::may_say() const { return !said_end_ && !has_vanished() && link_.failure == 0; }

// ---- before the upgrade

void Peer::begin() {
  switch (errand_) {
    case Errand::kHold:
      return ask_to_upgrade("/");
    case Errand::kEcho:
      return ask_to_upgrade("/echo");
    case Errand::kPlay:
      if (world_.random.chance(5)) {
        asked_to_close_ = true;
        return ask_to_upgrade("/play?x");
      }
      return ask_to_upgrade(world_.random.chance(50)
                                ? fmt::format("/play?s{}{}", world_.random.below(kTopics),
                                              world_.random.below(kWishes.size()))
                                : "/play");
    case Errand::kPages:
      return ask_for_page();
    case Errand::kRefused:
      return ask_in_vain();
    case Errand::kSlowHead:
      return say("GET /echo HTTP/1.1\r\nHost: slow");
    case Errand::kGarbage: {
      is_guilty_ = true;
      std::string garbage;
      for (std::uint64_t i = world_.random.between(1, 400); i > 0; --i)
        garbage += static_cast<char>(world_.random.below(256));
      if (link_.is_tls && world_.random.chance(50)) {  // in the place of a handshake
        link_.is_tls_over = true;
        link_.in_flight = link_.in_flight.substr(0, link_.header_bytes);
        link_.in_flight += world_.random.chance(50) ? garbage : "GET / HTTP/1.1\r\n" + garbage;
        return;
      }
      return say(world_.random.chance(50) ? garbage : "GET / HTTP/1.1\r\n" + garbage);
    }
  }
}

// What the balancer says of it.
void Peer::introduce() {
  const std::uint32_t address = 0x0A000001 + link_.address;
  const std::string source = fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xFF,
                                         address >> 8 & 0xFF, address & 0xFF);
  std::string header = fmt::format("PROXY TCP4 {} 192.0.2.1 50000 443\r\n", source);
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  if (world_.random.chance(50)) {
    // Version 2, and now and then a field (TLV) behind the addresses.
    const std::string more = world_.random.chance(30) ? std::string("\x04\0\x03pad", 6) : "";
    header = signature + std::string("\x21\x11\0", 3) + static_cast<char>(12 + more.size());
    for (const unsigned shift : {24, 16, 8, 0})
      header += static_cast<char>(address >> shift & 0xFF);
    header += std::string("\xC0\0\2\1\xC3\x50\x01\xBB", 8) + more;
  }
  if (world_.random.chance(5)) {  // LOCAL: the balancer itself
    header = signature + std::string("\x20\0\0\0", 4);
    link_.address = SimulatedLoop::kBalancerAddress;
  }
  if (world_.random.chance(5)) {
    link_.is_header_wrong = is_guilty_ = true;
    constexpr std::array<std::string_view, 3> kWrong = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                                        "PROXY TCP4 10.0.0.1 10.0.0.2 1 99999\r\n",
                                                        "\r\n\r\nnot the signature"};
    header = world_.random.any_of(std::span<const std::string_view>(kWrong));
  }
  link_.header_bytes = header.size();
  say(header);
}

protocol::DeflateTerms Peer::draw_offer() {
  protocol::DeflateTerms offer;
  offer.server_no_context_takeover = world_.random.chance(30);
  offer.client_no_context_takeover = world_.random.chance(30);
  if (world_.random.chance(40))
    offer.server_max_window_bits = static_cast<std::uint8_t>(world_.random.between(8, 15));
  if (world_.random.chance(60)) {
    offer.client_max_window_bits = world_.random.chance(50)
                                       ? protocol::kAnyWindowBits
                                       : static_cast<std::uint8_t>(world_.random.between(8, 15));
  }
  return offer;
}

void Peer::ask_to_upgrade(std::string_view target) {
  key_ = key_of(world_.random);
  std::vector<protocol::HttpHeader> headers;
  std::array<char, protocol::kDeflateTermsBytesMax> offer;
  const bool has_room = world_.scenario.settings.http.head_bytes_max >= 1'000;
  if (has_room && world_.random.chance(world_.scenario.deflate == DeflateChoice::kOff ? 10 : 70)) {
    offer_ = draw_offer();
    const std::size_t size = protocol::write_deflate_terms(offer.data(), *offer_);
    headers.push_back({"Sec-WebSocket-Extensions", {offer.data(), size}});
  }
  if (has_room && world_.random.chance(30)) {
    offers_subprotocol_ = world_.random.chance(60);
    headers.push_back({"Sec-WebSocket-Protocol",
                       offers_subprotocol_ ? "other, simulated.v1" : "other, simulated.v12"});
  }
  say(protocol::handshake_request("simulated", target, key_, headers));
}

void Peer::ask_for_page() {
  const std::size_t bytes = world_.random.below(600);
  if (world_.random.chance(50)) {
    pages_.emplace_back(200, bytes);
    return say(fmt::format("GET /pages/{} HTTP/1.1\r\nHost: x\r\n\r\n", bytes));
  }
  pages_.emplace_back(202, 0);
  say(fmt::format("POST /pages/{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                  bytes % kTopics, bytes, page(bytes)));
}

// Each with the status that RFC 9110 15.5 has for it.
void Peer::ask_in_vain() {
  const server::WorkerSettings& settings = world_.scenario.settings;
  constexpr std::string_view kHost = " HTTP/1.1\r\nHost: x\r\n";
  switch (world_.random.below(7)) {
    case 0:
      refusal_ = 404;
      return ask_to_upgrade("/nothing/here");
    case 1:
      refusal_ = 403;
      return ask_to_upgrade("/forbidden");
    // These two would keep the connection for another request.
    case 2:
      refusal_ = 405;
      return say(fmt::format("DELETE /echo{}Connection: close\r\n\r\n", kHost));
    case 3:
      refusal_ = 426;
      return say(fmt::format("GET /echo{}Connection: close\r\n\r\n", kHost));
    case 4:
      refusal_ = 426;
      return say(fmt::format(
          "GET /echo{}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\n"
          "Sec-WebSocket-Version: 8\r\n\r\n",
          kHost, key_of(world_.random)));
    case 5:
      refusal_ = 413;
      return say(fmt::format("POST /pages/1{}Content-Length: {}\r\n\r\n", kHost,
                             settings.http.body_bytes_max + 1));
    default:
      refusal_ = 431;
      return say(
          fmt::format("GET /{}{}\r\n", std::string(settings.http.head_bytes_max, 'a'), kHost));
  }
}

// ---- what it does when it is its turn

void Peer::act() {
  if (is_over() || has_vanished() || link_.is_header_wrong) return;
  if (!world_.is_calm) {
    if (world_.strikes(world_.scenario.odds.vanishing_peer) && world_.random.chance(10))
      return vanish();
    if (world_.random.chance(2)) return leave();
  }
  if (!may_say() || said_ >= says_max_) return;
  if (tls_ != nullptr && talk_tls()) return;
  if (stage_ == Stage::kAsking) {
    if (errand_ == Errand::kPages && pages_.size() < (pace_ == Pace::kPrompt ? 4 : 40)) {
      ++said_;
      ask_for_page();
    }
    if (errand_ == Errand::kSlowHead && world_.random.chance(30)) say("x");
    return;
  }
  if (said_close_ || heard_close_ || is_guilty_) return;
  ++said_;
  talk();
}

void Peer::talk() {
  constexpr std::array<unsigned, 5> kChoices = {60, 15, 5, 5, 15};
  switch (world_.random.weighted(kChoices)) {
    case 0:
      return errand_ == Errand::kPlay ? say_play() : say_message();
    case 1: {
      const std::string payload = make_message('#', static_cast<std::uint64_t>(link_.id), said_,
                                               world_.random.below(100), false);
      say_frames(Opcode::kPing, payload);
      return expect(Event::Kind::kPong, payload);
    }
    case 2:
      return say_frames(Opcode::kPong, "unasked");
    case 3:
      return say_close(world_.random.chance(20)
                           ? 1005
                           : static_cast<std::uint16_t>(world_.random.between(3000, 3999)));
    default:
      if (breaks_rules_) break_a_rule();
      return;
  }
}

void Peer::say_message() {
  const bool is_text = world_.random.chance(50);
  std::string payload =
      make_message('#', static_cast<std::uint64_t>(link_.id), said_,
                   world_.random.below(world_.scenario.message_bytes_max), is_text);
  if (payload.size() > world_.scenario.settings.session.message_bytes_max) payload = "#";
  if (errand_ == Errand::kEcho)
    expect(is_text ? Event::Kind::kText : Event::Kind::kBinary, payload);
  say_frames(is_text ? Opcode::kText : Opcode::kBinary, std::move(payload));
}

void Peer::say_play() {
  constexpr std::array kVerbs = {Verb::kEcho,        Verb::kManyEchoes, Verb::kSubscribe,
                                 Verb::kUnsubscribe, Verb::kPublish,    Verb::kClose};
  constexpr std::array<unsigned, 6> kWeights = {25, 8, 25, 7, 30, 5};
  const Verb verb = kVerbs[world_.random.weighted(kWeights)];
  const std::string payload =
      fmt::format("{}{}{}", static_cast<char>(verb), world_.random.below(10),
                  make_message('#', static_cast<std::uint64_t>(link_.id), said_,
                               world_.random.below(world_.scenario.message_bytes_max), true));
  if (payload.size() > world_.scenario.settings.session.message_bytes_max) return;
  say_frames(Opcode::kText, payload);
  if (verb == Verb::kEcho || verb == Verb::kClose) expect(Event::Kind::kText, payload);
  if (verb == Verb::kManyEchoes) {
    for (std::string& echo : many_echoes(payload)) expect(Event::Kind::kText, std::move(echo));
  }
  if (verb == Verb::kClose) asked_to_close_ = true;
}

void Peer::expect(Event::Kind kind, std::string payload) {
  if (!asked_to_close_) replies_.push_back({kind, std::move(payload)});
}

// Whole, or in fragments with a control frame between them.
void Peer::say_frames(Opcode opcode, std::string payload) {
  const bool is_control = opcode != Opcode::kText && opcode != Opcode::kBinary;
  const std::uint32_t fragments_max = std::min(world_.scenario.settings.session.fragments_max, 5u);
  bool deflated = false;
  if (!is_control && deflater_ != nullptr && world_.random.chance(70)) {
    if (const auto smaller = deflater_->deflate(as_bytes(payload))) {
      payload = as_text(*smaller);
      deflated = true;
    }
  }
  if (is_control || fragments_max < 2 || world_.random.chance(70))
    return write_frame(opcode, true, std::move(payload), deflated);
  const std::uint64_t fragments = world_.random.between(2, fragments_max);
  for (std::uint64_t i = 0; i < fragments; ++i) {
    const bool is_last = i + 1 == fragments;
    const std::size_t size = is_last ? payload.size() : world_.random.below(payload.size() + 1);
    // RFC 7692 6.1: RSV1 is set on the first fragment alone.
    write_frame(i == 0 ? opcode : Opcode::kContinuation, is_last, payload.substr(0, size),
                deflated && i == 0);
    payload.erase(0, size);
    if (!is_last && world_.random.chance(10)) write_frame(Opcode::kPong, true, "between");
  }
}

void Peer::write_frame(Opcode opcode, bool final, std::string payload, bool deflated) {
  std::byte header[protocol::kFrameHeaderBytesMax];
  protocol::MaskKey mask;
  for (std::byte& byte : mask) byte = static_cast<std::byte>(world_.random.below(256));
  const std::size_t size =
      protocol::write_frame_header(header, opcode, final, payload.size(), &mask, deflated);
  protocol::apply_mask({reinterpret_cast<std::byte*>(payload.data()), payload.size()}, mask);
  world_.note(What::kPeerSays, link_.worker, link_.id, static_cast<int>(opcode),
              static_cast<std::int64_t>(payload.size()));
  say(std::string(as_text({header, size})) + payload);
}

void Peer::say_close(std::uint16_t code) {
  std::string payload;
  if (code != 1005) payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  write_frame(Opcode::kClose, true, payload);
  said_close_ = code;
}

// Each with the code that RFC 6455 7.4.1 has for it.
void Peer::break_a_rule() {
  is_guilty_ = true;
  const server::WorkerSettings& settings = world_.scenario.settings;
  if (world_.random.chance(20)) return break_a_rule_of_compression();
  switch (world_.random.below(8)) {
    case 0:
      codes_ = {1002};
      return say(raw_frame(0x81, 5, "plain"));  // not masked
    case 1:
      codes_ = {1002};
      return say(raw_frame(0x83, 0x80, "mask"));  // a reserved opcode
    case 2:
      codes_ = {1002};
      return say(raw_frame(0xB1, 0x80, "mask"));  // reserved bits
    case 3:
      codes_ = {1002};
      return say(raw_frame(0x89, 0xFE, std::string(2, '\1')));  // a long Ping
    case 4:
      codes_ = {1007};
      return write_frame(Opcode::kText, true, "\xC3(");
    case 5:
      codes_ = {1002};
      return write_frame(Opcode::kClose, true, "\x03\xED");  // 1005 on the wire
    case 6:
      codes_ = {1009};
      return write_frame(Opcode::kBinary, true,
                         std::string(settings.session.message_bytes_max + 1, 'x'));
    default:
      if (settings.session.fragments_max > 8) {
        codes_ = {1002};
        return say(raw_frame(0x80, 0x80, "mask"));  // a continuation of nothing
      }
      codes_ = {1008};
      write_frame(Opcode::kBinary, false, "a");
      for (std::uint32_t i = 0; i < settings.session.fragments_max; ++i)
        write_frame(Opcode::kContinuation, false, "b");
  }
}

// RFC 7692 6 and 8: with or without an agreement.
void Peer::break_a_rule_of_compression() {
  const std::size_t most = world_.scenario.settings.session.message_bytes_max;
  switch (world_.random.below(deflater_ == nullptr ? 1 : 4)) {
    case 0:
      codes_ = {1002};
      return write_frame(deflater_ == nullptr ? Opcode::kText : Opcode::kPing, true, "x", true);
    case 1:
      codes_ = {1002};  // RSV1 behind the first fragment
      write_frame(Opcode::kBinary, false, "a");
      if (world_.scenario.settings.session.fragments_max == 1) codes_.push_back(1008);
      return write_frame(Opcode::kContinuation, true, "b", true);
    case 2:
      codes_ = {1007};  // a block of a type that there is not (RFC 1951 3.2.3)
      return write_frame(Opcode::kBinary, true, "\xFF\xFF\xFF", true);
    default: {
      codes_ = {1009};
      protocol::MessageDeflater bomber(protocol::Takeover::kNone, 8);
      const std::string bomb(most + 1'000, '\0');
      const auto payload = bomber.deflate(as_bytes(bomb));
      return write_frame(Opcode::kBinary, true, std::string(as_text(*payload)), true);
    }
  }
}

void Peer::leave() {
  if (!may_say()) return;
  if (tls_ != nullptr && world_.random.chance(50)) {
    say_tls_end();
    if (world_.random.chance(30)) return;  // TCP goes on
  }
  said_end_ = true;
  is_guilty_ = true;
  if (world_.random.chance(50)) {
    world_.note(What::kPeerEnds, link_.worker, link_.id);
    link_.fin_in_flight = true;
    return;
  }
  world_.note(What::kPeerResets, link_.worker, link_.id);
  stage_ = Stage::kOver;
  link_.failure = ECONNRESET;
  link_.in_flight.clear();
  if (world_.random.chance(50)) link_.arrived.clear();
}

void Peer::vanish() {
  world_.note(What::kPeerVanishes, link_.worker, link_.id);
  pace_ = Pace::kVanished;
  is_guilty_ = true;
  if (world_.random.chance(50)) link_.in_flight.clear();
}

// ---- the network

void Peer::deliver() {
  if (has_vanished() && world_.random.chance(50)) link_.in_flight.clear();
  if (!link_.in_flight.empty()) {
    world_.note(What::kArrive, link_.worker, link_.id,
                static_cast<std::int64_t>(link_.in_flight.size()));
    if (link_.stage == Link::Stage::kBacklog || link_.stage == Link::Stage::kHeld)
      link_.arrived += link_.in_flight;
    link_.in_flight.clear();
  }
  if (link_.fin_in_flight) link_.fin_arrived = true;
}

bool Peer::keeps_up() const {
  return !has_vanished() && (pace_ == Pace::kPrompt || world_.is_calm);
}

void Peer::keep_up() {
  if (!keeps_up()) return;
  read(SIZE_MAX);
  deliver();
}

}  // namespace holdfast::simulator
