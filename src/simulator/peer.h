#pragma once

// A client: what it says, and what it makes of what it hears. It knows the bytes that must come
// back and fails the run at the first that is not right.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/deflate_terms.h"
#include "protocol/http_response.h"
#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"
#include "protocol/session.h"
#include "simulator/ledger.h"
#include "simulator/tls_end.h"
#include "simulator/world.h"

namespace holdfast::simulator {

class Peer {
 public:
  // The link is new; the first bytes are on their way when this returns. All outlive the peer.
  Peer(World& world, Ledger& ledger, Link& link, std::uint64_t& publications_missed);

  // Says or does something, or not.
  void act();
  // Reads at most so many bytes, and answers what wants an answer.
  void read(std::size_t bytes_max);
  // Everything that it has said so far reaches the server.
  void deliver();
  // Reads all and answers at once, as long as it can; from calm on everybody does who has not
  // vanished.
  void keep_up();
  bool keeps_up() const;

  int number() const { return link_.id; }
  // It is on its way to the server, or was.
  bool has_said_tls_end() const { return link_.is_tls_over; }
  bool asks_for_pages() const { return errand_ == Errand::kPages && !link_.is_header_wrong; }
  bool has_said_close() const { return said_close_.has_value(); }
  bool is_open() const { return is_upgraded_ && !is_over() && !heard_close_ && !said_close_; }
  // Nothing more will come of it.
  bool is_over() const { return stage_ == Stage::kOver; }
  bool has_vanished() const { return pace_ == Pace::kVanished; }
  // Broke a rule, or left in the middle: it may be treated accordingly.
  bool is_guilty() const { return is_guilty_; }
  bool expects_refusal() const;
  // After all has been quiet: did everything come that was promised?
  void check_complete();

 private:
  enum class Errand : std::uint8_t { kHold, kEcho, kPlay, kPages, kRefused, kSlowHead, kGarbage };
  enum class Pace : std::uint8_t { kPrompt, kSlow, kDeaf, kVanished };
  enum class Stage : std::uint8_t { kAsking, kTalking, kOver };
  struct Expected {
    protocol::Event::Kind kind;
    std::string payload;
  };

  // peer_says.cc
  void begin();
  void introduce();
  protocol::DeflateTerms draw_offer();
  void ask_to_upgrade(std::string_view target);
  void ask_for_page();
  void ask_in_vain();
  void talk();
  void say_message();
  void say_play();
  void say_frames(protocol::Opcode opcode, std::string payload);
  void write_frame(protocol::Opcode opcode, bool final, std::string payload, bool deflated = false);
  void say_close(std::uint16_t code);
  void break_a_rule();
  void break_a_rule_of_compression();
  void leave();
  void vanish();
  void say(const std::string& bytes);
  bool may_say() const;

  // peer_tls.cc
  void begin_tls();
  void pass_on();
  bool talk_tls();
  void break_tls();
  void say_tls_end();
  std::string open_records(std::string_view bytes);
  void hear_tls_end();
  void check_tls_end() const;
  bool may_be_too_old() const;
  bool may_be_too_late() const;
  bool may_be_over_limit() const;

  // peer_hears.cc
  void hear(std::string bytes);
  void hear_response();
  void hear_refusal(int status);
  void hear_terms();
  void hear_event(const protocol::Event& event);
  void hear_message(const protocol::Event& event);
  void hear_publication(std::uint32_t number, std::string_view payload);
  void hear_close(const protocol::Event& event);
  void hear_end();
  void miss_owed(std::string_view how);
  void expect(protocol::Event::Kind kind, std::string payload);
  void fail(std::string_view what) const;
  bool is_expected_code(std::uint16_t code) const;

  World& world_;
  Ledger& ledger_;
  Link& link_;
  std::uint64_t& publications_missed_;
  Errand errand_;
  Pace pace_;
  Stage stage_ = Stage::kAsking;

  protocol::HttpLimits http_limits_;
  protocol::SessionLimits session_limits_{1u << 20, 1u << 16};
  protocol::HttpResponseParser responses_;
  protocol::Session session_;
  std::string key_;
  std::optional<protocol::DeflateTerms> offer_;  // of permessage-deflate
  bool offers_subprotocol_ = false;
  std::unique_ptr<TlsEnd> tls_;  // while it speaks TLS
  // Once that was agreed on.
  std::unique_ptr<protocol::MessageDeflater> deflater_;
  std::unique_ptr<protocol::MessageInflater> inflater_;
  int refusal_ = 0;  // the status that it asks for
  bool is_upgraded_ = false;
  bool breaks_rules_;
  bool is_guilty_ = false;
  bool said_end_ = false;  // FIN or reset
  std::optional<std::uint16_t> said_close_;
  bool heard_close_ = false;
  bool asked_to_close_ = false;       // of the handler, which answers nothing that comes after
  std::vector<std::uint16_t> codes_;  // that the server may close with because of what was said
  std::deque<Expected> replies_;      // that must come, in this order
  std::deque<std::pair<int, std::size_t>> pages_;  // status and length of what must be answered
  std::uint32_t said_ = 0, says_max_;
};

}  // namespace holdfast::simulator
