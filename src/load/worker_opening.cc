// How a worker's connections come to be.

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/check.h"
#include "load/error_name.h"
#include "load/random_mix.h"
#include "load/worker.h"
#include "protocol/deflate_terms.h"
#include "protocol/extension_list.h"
#include "protocol/handshake.h"

namespace holdfast::load {
namespace {

// Opens of one turn: a connect() to loopback does the peer's part of the work too, and answers are
// waiting.
constexpr std::uint32_t kOpensPerTurnMax = 128;

// Neither side keeps a window: a million clients are to fit beside the server.
constexpr protocol::DeflateTerms kDeflateOffer{.server_no_context_takeover = true,
                                               .client_no_context_takeover = true};
constexpr std::string_view kDeflateOfferText =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

// Modulo 2^32: 71 minutes, far more than an opening may last.
std::uint32_t microseconds_since(Instant began, Instant now) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - began).count());
}

}  // namespace

void Worker::open_due(Instant now) {
  if (step_.phase != Phase::kOpen) return;
  for (std::uint32_t opens = 0; opens < kOpensPerTurnMax && in_flight_ < plan_.options->in_flight;
       ++opens) {
    const auto ordinal = opener_.take(now);
    if (!ordinal) return;
    open(*ordinal, now);
  }
}

void Worker::open(std::uint32_t ordinal, Instant now) {
  const Instant started = plan_.clock();
  const auto descriptor = loop_.connect(plan_.sources->address_of(plan_.first_ordinal + ordinal),
                                        plan_.target->address);
  if (!descriptor) {
    const int error = descriptor.error().code;
    return came_to_nothing(
        ordinal, error == 0 ? descriptor.error().message : std::string(error_name(error)), now);
  }
  ConnectionRecord& record = records_[*descriptor];
  CHECK(record.state == State::kNone ||
        (record.state == State::kPublisher && !publisher_.owns(*descriptor)));
  record = {};
  record.state = State::kConnecting;
  record.ordinal = ordinal;
  record.attempt = ++attempt_number_;
  record.started_us = microseconds_since(began_, started);
  attempts_.push_back({*descriptor, record.attempt, now + plan_.options->open_timeout});
  ++in_flight_;
}

void Worker::expire_openings(Instant now) {
  while (!attempts_.empty()) {
    const Attempt& attempt = attempts_.front();
    const ConnectionRecord& record = records_[attempt.descriptor];
    const bool under_way = record.attempt == attempt.number && is_under_way(record);
    if (under_way && attempt.deadline > now) return;
    const net::Descriptor descriptor = attempt.descriptor;
    attempts_.pop_front();
    if (under_way) refuse(descriptor, what_took_too_long(record.state));
  }
}

std::string_view Worker::what_took_too_long(State state) {
  switch (state) {
    case State::kConnecting:
      return "timeout connecting";
    case State::kSecuring:
      ++tally_.tls.timeouts;
      return "timeout of the TLS handshake";
    case State::kHandshaking:
      return "timeout of the answer";
    case State::kJoining:
      return "timeout of the subscription";
    case State::kNone:
    case State::kOpen:
    case State::kClosing:
    case State::kPublisher:
      break;
  }
  return "timeout";
}

void Worker::on_connected(net::Descriptor descriptor, int error) {
  if (records_[descriptor].state != State::kConnecting) return;
  if (error != 0) return refuse(descriptor, error_name(error));
  ask(descriptor);
}

void Worker::ask(net::Descriptor descriptor) {
  ConnectionRecord& record = records_[descriptor];
  record.state = State::kHandshaking;
  const protocol::HttpHeader offer{protocol::kExtensionsField, kDeflateOfferText};
  const std::string request = protocol::handshake_request(
      plan_.target->authority, plan_.target->path, key_of(record.attempt),
      {&offer, plan_.options->deflate ? 1u : 0u});
  const MutableBytes room = outbox_.room(request.size());
  std::memcpy(room.data(), request.data(), request.size());
  outbox_.send(descriptor, room);
}

// Nearly always the answer comes whole. One that does not is kept, and read again from its start.
void Worker::on_answer(net::Descriptor descriptor, MutableBytes bytes) {
  std::string gathered;
  if (const auto partial = partial_answers_.find(descriptor); partial != partial_answers_.end()) {
    gathered = std::move(partial->second) + std::string(as_text(bytes));
    partial_answers_.erase(partial);
    bytes = {reinterpret_cast<std::byte*>(gathered.data()), gathered.size()};
  }
  Bytes rest = bytes;
  parser_.reset();
  const auto progress = parser_.feed(rest);
  // Of a refusal the status is enough.
  if (progress != protocol::HttpProgress::kError && parser_.head_done()) {
    const std::string_view wrong = wrong_with(parser_.response(), records_[descriptor]);
    if (parser_.response().status != 101)
      return refuse(descriptor, fmt::format("HTTP {}", parser_.response().status));
    if (!wrong.empty()) return refuse(descriptor, wrong);
    if (plan_.options->protocol == Speech::kPusher) {
      records_[descriptor].state = State::kJoining;
    } else {
      opened(descriptor);
    }
    // The server may have spoken already.
    if (!rest.empty()) on_frames(descriptor, bytes.last(rest.size()));
    return;
  }
  if (progress == protocol::HttpProgress::kError) return refuse(descriptor, "malformed answer");
  partial_answers_[descriptor] = as_text(bytes);
}

// RFC 6455 4.1: what the client must check in the server's answer.
std::string_view Worker::wrong_with(const protocol::HttpResponse& response,
                                    const ConnectionRecord& record) const {
  const std::string_view wrong = protocol::wrong_with_acceptance(response, key_of(record.attempt));
  if (!wrong.empty()) return wrong;
  if (!plan_.options->deflate) {
    if (response.header(protocol::kExtensionsField)) return "an extension that was not asked for";
    return {};
  }
  const auto answer = protocol::read_deflate_answer(response.headers, kDeflateOffer);
  if (!answer.wrong.empty()) return answer.wrong;
  return answer.terms ? std::string_view() : "permessage-deflate was declined";
}

// Pusher: it subscribes as soon as it is told to be connected, and is open when it is subscribed.
void Worker::on_joining(net::Descriptor descriptor, const protocol::Event& event) {
  using Kind = protocol::Event::Kind;
  if (event.kind == Kind::kPing)
    return send_frame(descriptor, protocol::Opcode::kPong, event.payload);
  if (event.kind == Kind::kClose) return refuse(descriptor, fmt::format("close {}", event.code));
  if (event.kind == Kind::kViolation) {
    return refuse(descriptor, fmt::format("broke the protocol: {}", event.reason));
  }
  if (event.kind != Kind::kText) return;
  switch (pusher_word(as_text(event.payload))) {
    case PusherWord::kEstablished: {
      const std::uint64_t ordinal = plan_.first_ordinal + records_[descriptor].ordinal;
      const LoadOptions& options = *plan_.options;
      const std::string channel = pusher_channel(options.channel_kind, ordinal, options.channels);
      const std::string subscribe =
          pusher_subscribe(options.pusher_app, options.channel_kind, channel,
                           pusher_socket_id(as_text(event.payload)), ordinal);
      return send_frame(descriptor, protocol::Opcode::kText, as_bytes(subscribe));
    }
    case PusherWord::kSubscribed:
      return opened(descriptor);
    case PusherWord::kRefused:
      return refuse(descriptor, "an error of the Pusher protocol");
    case PusherWord::kEvent:
    case PusherWord::kPong:
    case PusherWord::kOther:
      return;
  }
}

void Worker::opened(net::Descriptor descriptor) {
  ConnectionRecord& record = records_[descriptor];
  record.state = State::kOpen;
  --in_flight_;
  if (tls_) note_who_keeps_it((*tls_)[descriptor]);
  const Instant now = plan_.clock();
  const std::uint32_t took = microseconds_since(began_, now) - record.started_us;
  tally_.opened(std::chrono::microseconds(took));
  if (!opened_before_) outcome_.last_answer = now;
}

void Worker::refuse(net::Descriptor descriptor, std::string_view reason) {
  const std::uint32_t ordinal = records_[descriptor].ordinal;
  --in_flight_;
  came_to_nothing(ordinal, reason, loop_.now());
  forget(descriptor);
  loop_.reset(descriptor);
}

void Worker::came_to_nothing(std::uint32_t ordinal, std::string_view reason, Instant now) {
  tally_.refused(reason);
  if (!opened_before_) outcome_.last_answer = plan_.clock();
  if (plan_.options->scenario == Scenario::kStorm)
    opener_.retry(ordinal, now + plan_.options->retry_delay);
}

// Made anew from the attempt's number when the answer comes, so that no record has to hold it.
std::string Worker::key_of(std::uint32_t attempt) const {
  std::array<std::byte, 16> random;
  const std::uint64_t first = mix(plan_.seed ^ attempt);
  const std::uint64_t second = mix(first ^ plan_.seed);
  std::memcpy(random.data(), &first, 8);
  std::memcpy(random.data() + 8, &second, 8);
  return protocol::make_key(random);
}

}  // namespace holdfast::load
