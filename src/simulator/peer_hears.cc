// What a peer makes of what it hears.

#include <fmt/format.h>

#include <algorithm>

#include "protocol/handshake.h"
#include "simulator/handlers.h"
#include "simulator/message.h"
#include "simulator/peer.h"

namespace holdfast::simulator {

using protocol::Event;

void Peer::fail(std::string_view what) const {
  world_.trace.fail(fmt::format("peer {} (worker {}): {}", link_.id, link_.worker, what));
}

void Peer::read(std::size_t bytes_max) {
  if (is_over()) tls_.reset();
  if (is_over() || has_vanished()) return;
  const std::size_t size = std::min(bytes_max, link_.outbound.size());
  if (size > 0) {
    world_.note(What::kPeerReads, link_.worker, link_.id, static_cast<std::int64_t>(size));
    std::string bytes = link_.outbound.substr(0, size);
    link_.outbound.erase(0, size);
    if (tls_ != nullptr) bytes = open_records(bytes);
    hear(std::move(bytes));
    if (tls_ != nullptr) hear_tls_end();
    if (is_over()) return;
  }
  if (link_.outbound.empty() && (link_.is_shut || link_.is_reset || link_.failure != 0)) hear_end();
}

void Peer::hear(std::string bytes) {
  MutableBytes input(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  while (!is_upgraded_ && !input.empty()) {
    Bytes rest = input;
    const auto progress = responses_.feed(rest);
    input = input.last(rest.size());
    if (progress == protocol::HttpProgress::kMore) return;
    if (progress == protocol::HttpProgress::kError) return fail("a response that cannot be read");
    hear_response();
    responses_.reset();
    if (is_over()) return input.empty() ? void() : fail("bytes after a refusal");
  }
  if (input.empty()) return;
  if (heard_close_) return fail("bytes after the server's Close (RFC 6455 5.5.1)");
  while (const auto event = session_.next(input)) {
    hear_event(*event);
    if (world_.trace.failed()) return;
    if (heard_close_ && !input.empty())
      return fail("bytes after the server's Close (RFC 6455 5.5.1)");
  }
}

// ---- HTTP

bool Peer::expects_refusal() const {
  return errand_ == Errand::kRefused || errand_ == Errand::kSlowHead || errand_ == Errand::kGarbage;
}

void Peer::hear_response() {
  const protocol::HttpResponse& response = responses_.response();
  if (response.status == 101) {
    const auto accept = response.header("Sec-WebSocket-Accept");
    if (expects_refusal() || errand_ == Errand::kPages)
      return fail("upgraded what did not ask for it");
    if (!accept || !protocol::is_accept_of(*accept, key_))
      return fail("the handshake's proof is not right");
    is_upgraded_ = true;
    stage_ = Stage::kTalking;
    return hear_terms();
  }
  if (response.status >= 400) return hear_refusal(response.status);
  if (pages_.empty()) return fail("an answer to nothing");
  const auto [status, bytes] = pages_.front();
  pages_.pop_front();
  const bool is_right = response.status == status || (status == 202 && response.status == 299);
  if (!is_right) return fail(fmt::format("status {} in place of {}", response.status, status));
  if (status == 200 && as_text(response.body) != page(bytes))
    return fail("another page than the one it asked for");
}

// What was agreed on beside the WebSocket itself.
void Peer::hear_terms() {
  const protocol::HttpResponse& response = responses_.response();
  const auto subprotocol = response.header("Sec-WebSocket-Protocol");
  if (subprotocol != (offers_subprotocol_ ? std::optional(kSubprotocol) : std::nullopt))
    return fail("another sub-protocol than the handler's, or one that was not offered");
  if (!offer_) {
    if (response.header("Sec-WebSocket-Extensions")) fail("an extension that was not offered");
    return;
  }
  const protocol::DeflateAnswer answer = protocol::read_deflate_answer(response.headers, *offer_);
  if (!answer.wrong.empty()) return fail(answer.wrong);
  if (answer.terms.has_value() != (world_.scenario.deflate != DeflateChoice::kOff))
    return fail("compression is declined where it is on, or agreed on where it is off");
  if (!answer.terms) return;
  const protocol::DeflateTerms& terms = *answer.terms;
  const bool is_kept = !terms.server_no_context_takeover || !terms.client_no_context_takeover;
  if (is_kept && world_.scenario.deflate != DeflateChoice::kTakeover)
    return fail("windows are kept where none are to be");
  const auto takeover = [](bool is_none) {
    return is_none ? protocol::Takeover::kNone : protocol::Takeover::kKept;
  };
  deflater_ = std::make_unique<protocol::MessageDeflater>(
      takeover(terms.client_no_context_takeover), terms.client_window_bits());
  inflater_ = std::make_unique<protocol::MessageInflater>(
      takeover(terms.server_no_context_takeover), terms.server_window_bits());
  session_limits_.inflater = inflater_.get();
}

void Peer::hear_refusal(int status) {
  const bool is_limit = status == 503 || status == 408;
  const bool is_garbage = errand_ == Errand::kGarbage;
  // Nothing but the beginning of a head, that grew too long.
  const bool is_long = status == 431 && errand_ == Errand::kSlowHead;
  const bool is_right = is_limit || is_garbage || is_long || (refusal_ != 0 && status == refusal_);
  if (!is_right)
    return fail(
        fmt::format("refused with status {}: {}", status, as_text(responses_.response().body)));
  stage_ = Stage::kOver;
  link_.fin_in_flight = true;
  said_end_ = true;
}

// ---- frames

void Peer::hear_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kText:
    case Event::Kind::kBinary:
      return hear_message(event);
    case Event::Kind::kPing:
      if (!event.payload.empty()) return fail("a Ping with a payload");
      if (may_say() && !said_close_ && !(is_guilty_ && breaks_rules_))
        write_frame(protocol::Opcode::kPong, true, {});
      return;
    case Event::Kind::kPong:
      if (replies_.empty() || replies_.front().kind != Event::Kind::kPong ||
          replies_.front().payload != as_text(event.payload)) {
        return fail("a Pong that does not belong here");
      }
      return replies_.pop_front();
    case Event::Kind::kClose:
      return hear_close(event);
    case Event::Kind::kViolation:
      return fail(fmt::format("the server broke the protocol: {}", event.reason));
  }
}

void Peer::hear_message(const Event& event) {
  const std::string_view payload = as_text(event.payload);
  if (const std::int64_t number = publication_number(payload); number >= 0) {
    return hear_publication(static_cast<std::uint32_t>(number), payload);
  }
  if (replies_.empty()) return fail("a message that answers nothing");
  const Expected& expected = replies_.front();
  if (expected.kind != event.kind || expected.payload != payload) {
    return fail(fmt::format("an answer of {} bytes in place of one of {}, or another",
                            payload.size(), expected.payload.size()));
  }
  replies_.pop_front();
}

// In their order, also where newer values take the place of older ones.
void Peer::hear_publication(std::uint32_t number, std::string_view payload) {
  if (payload != make_publication_text(number, ledger_.size_of(number)))
    return fail(fmt::format("publication {} is damaged", number));
  std::deque<std::uint32_t>& owed = link_.facts.owed;
  const auto found = std::find(owed.begin(), owed.end(), number);
  if (found == owed.end())
    return fail(fmt::format("publication {} out of order, twice, or not subscribed", number));
  const server::WorkerSettings& settings = world_.scenario.settings;
  const auto passed = static_cast<std::uint64_t>(found - owed.begin());
  if (passed > 0 && !settings.drop_oldest)
    return fail(fmt::format("publication {} was lost", owed.front()));
  publications_missed_ += passed;
  owed.erase(owed.begin(), found + 1);
}

bool Peer::is_expected_code(std::uint16_t code) const {
  return code == said_close_ || (code == 1001 && world_.is_draining) ||
         (code == 1008 && world_.scenario.limits_rates()) ||
         (code == kHandlerCode && asked_to_close_) ||
         std::find(codes_.begin(), codes_.end(), code) != codes_.end();
}

void Peer::hear_close(const Event& event) {
  heard_close_ = true;
  if (!is_expected_code(event.code))
    return fail(fmt::format("closed with code {}: {}", event.code, event.reason));
  // What was asked before our Close was answered before its echo.
  const bool is_echo = event.code == said_close_;
  const bool is_obeyed = event.code == kHandlerCode && asked_to_close_;
  if ((is_echo || is_obeyed) && !replies_.empty()) return fail("closed before all was answered");
  miss_owed("was not delivered before the Close");
  if (!said_close_ && may_say() && !is_guilty_ && world_.random.chance(90)) say_close(event.code);
}

void Peer::hear_end() {
  if (tls_ != nullptr) check_tls_end();
  stage_ = Stage::kOver;
  said_end_ = true;
  link_.fin_in_flight = true;
}

void Peer::check_complete() {
  const bool is_waiting = tls_ != nullptr && tls_->state() == TlsEnd::State::kShaking;
  if (is_waiting && link_.stage == Link::Stage::kHeld && !is_over() && !is_guilty_ && keeps_up())
    return fail("its TLS handshake does not end");
  if (!is_open() || is_guilty_) return;
  if (!replies_.empty()) return fail(fmt::format("{} answers never came", replies_.size()));
  miss_owed("never came");
}

// What is still owed will not come any more: it was dropped, or lost.
void Peer::miss_owed(std::string_view how) {
  std::deque<std::uint32_t>& owed = link_.facts.owed;
  if (!owed.empty() && !world_.scenario.settings.drop_oldest) {
    return fail(fmt::format("publication {} {}", owed.front(), how));
  }
  publications_missed_ += owed.size();
  owed.clear();
}

}  // namespace holdfast::simulator
