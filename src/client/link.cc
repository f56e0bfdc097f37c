#include "client/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/random.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"

namespace holdfast::client {
namespace {

constexpr std::uint32_t kAnswerBytesMax = 64 * 1024;  // of head, and of a refusal's body
constexpr std::size_t kReasonBytesMax = 200;          // of a refusal's body, told to a person
constexpr Instant kGivenUp = Instant::min();          // the next look at the clock ends it

// What would be wrong in the request that these options make; nothing when it is sound.
std::optional<std::string> wrong_with(const ClientOptions& options) {
  for (const std::string& name : options.subprotocols) {
    if (!protocol::is_token(name)) return fmt::format("subprotocols: '{}' is no token", name);
  }
  for (const auto& [name, value] : options.headers) {
    if (!protocol::is_token(name)) return fmt::format("headers: '{}' is no token", name);
    if (!protocol::is_field_value(value)) {
      return fmt::format("headers: the value of {} holds a control character", name);
    }
  }
  return std::nullopt;
}

// The first line of a body, for a person.
std::string_view first_line(Bytes body) {
  const std::string_view text = as_text(body);
  return text.substr(0, std::min(text.find_first_of("\r\n"), kReasonBytesMax));
}

}  // namespace

Link::Link(net::Loop& loop, const ClientOptions& options)
    : loop_(loop),
      options_(options),
      http_limits_{.head_bytes_max = kAnswerBytesMax, .body_bytes_max = kAnswerBytesMax},
      session_limits_{.message_bytes_max = options.message_bytes_max,
                      .fragments_max = options.fragments_max},
      parser_(&http_limits_) {}

std::optional<std::string> Link::connect(std::string_view url) {
  if (state_ != State::kOver) return "the connection is not over yet";
  if (auto wrong = wrong_with(options_)) return wrong;
  auto target = Target::parse(url);
  if (!target) return target.error().message;
  target_ = std::move(*target);
  if (auto ready = prepare_tls(); !ready) return ready.error().message;
  auto descriptor = loop_.connect(std::nullopt, target_.address);
  if (!descriptor) return descriptor.error().message;

  descriptor_ = *descriptor;
  parser_.reset();
  session_.reset();
  subprotocol_.clear();
  input_ = {};
  out_.clear();
  out_sent_ = 0;
  socket_full_ = false;
  heard_at_ = loop_.clock();
  deadline_ = heard_at_ + options_.open_timeout;
  state_ = State::kConnecting;
  return std::nullopt;
}

Result<void> Link::prepare_tls() {
  if (!target_.is_secure) {
    tls_.reset();
    return {};
  }
  if (tls_ != nullptr && tls_->server() == target_.authority) return {};
  auto context = protocol::TlsClientContext::make(
      {.name = options_.tls_server_name.empty() ? target_.host : options_.tls_server_name,
       .verify = options_.tls_verify,
       .ca_file = options_.tls_ca_file});
  if (!context) return tl::unexpected(context.error());
  tls_ = std::make_unique<LinkTls>(std::move(*context), target_.authority);
  return {};
}

std::optional<ClientEvent> Link::next(Duration longest) {
  const Instant until = loop_.clock() + longest;
  for (bool waited = false; state_ != State::kOver;) {
    if (auto event = read_input()) return event;
    if (const auto completion = loop_.next()) {
      if (auto event = take(*completion)) return event;
      continue;
    }
    if (auto event = flush()) return event;
    if (auto event = look_at_clock()) return event;
    if (woken_ || (waited && loop_.now() >= until)) break;
    loop_.wait(Instant(), std::min(until, due()));
    waited = true;
  }
  woken_ = false;
  return std::nullopt;
}

std::optional<ClientEvent> Link::take(const net::Completion& completion) {
  using Kind = net::Completion::Kind;
  if (completion.kind == Kind::kWoken) {
    woken_ = true;
    return std::nullopt;
  }
  if (completion.descriptor != descriptor_) return std::nullopt;
  switch (completion.kind) {
    case Kind::kConnected:
      if (completion.error != 0) return fail(std::strerror(completion.error));
      if (tls_ != nullptr) {
        state_ = State::kSecuring;
        tls_->begin();
        return std::nullopt;
      }
      state_ = State::kHandshaking;
      send_request();
      return std::nullopt;
    case Kind::kReceived:
      heard_at_ = loop_.now();
      if (tls_ != nullptr) {
        tls_->receive(completion.bytes);
      } else {
        input_ = completion.bytes;
      }
      return std::nullopt;
    case Kind::kWritable:
      socket_full_ = false;
      return std::nullopt;
    case Kind::kClosed:
      return take_end(completion.error);
    case Kind::kAccepted:
    case Kind::kAcceptFailed:
    case Kind::kWoken:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ClientEvent> Link::read_input() {
  while (true) {
    if (auto event = read_plaintext()) return event;
    if (state_ == State::kOver || tls_ == nullptr || !tls_->has_more()) return std::nullopt;
    if (auto event = open_record()) return event;
  }
}

std::optional<ClientEvent> Link::open_record() {
  using Kind = protocol::TlsOpened::Kind;
  const protocol::TlsOpened opened = tls_->open();
  switch (opened.kind) {
    case Kind::kMore:
    case Kind::kNothing:
      return std::nullopt;
    case Kind::kEstablished:
      state_ = State::kHandshaking;
      send_request();
      return std::nullopt;
    case Kind::kData:
      input_ = opened.plaintext;
      return std::nullopt;
    case Kind::kClosed:
      say_last_word(protocol::TlsAlert::kCloseNotify);
      return take_end(0);
    case Kind::kAlerted:
    case Kind::kFailed:
      return fail_tls(opened);
  }
  return std::nullopt;
}

// RFC 8446 6.2: the server is told why, where it is we who end it.
std::optional<ClientEvent> Link::fail_tls(const protocol::TlsOpened& opened) {
  std::string reason = tls_->describe(opened);
  if (opened.kind == protocol::TlsOpened::Kind::kFailed) say_last_word(opened.alert);
  switch (state_) {
    case State::kOpen:
    case State::kClosing:
      return cut(1006, std::move(reason));
    case State::kEnding:
      return take_end(0);
    case State::kOver:
    case State::kConnecting:
    case State::kSecuring:
    case State::kHandshaking:
      return fail(std::move(reason));
  }
  return std::nullopt;
}

std::optional<ClientEvent> Link::read_plaintext() {
  switch (state_) {
    case State::kHandshaking:
      return input_.empty() ? std::nullopt : read_answer();
    case State::kOpen:
    case State::kClosing:
      while (const auto frame = session_->next(input_)) {
        if (auto event = take_frame(*frame)) return event;
        if (state_ == State::kEnding) break;
      }
      return std::nullopt;
    case State::kOver:
    case State::kConnecting:
    case State::kSecuring:
    case State::kEnding:
      input_ = {};
      return std::nullopt;
  }
  return std::nullopt;
}

void Link::send_request() {
  std::array<std::byte, 16> random;
  net::fill_random(random);
  key_ = protocol::make_key(random);
  std::string offer;
  std::vector<protocol::HttpHeader> headers;
  for (const std::string& name : options_.subprotocols) offer += (offer.empty() ? "" : ", ") + name;
  if (!offer.empty()) headers.push_back({"Sec-WebSocket-Protocol", offer});
  for (const auto& [name, value] : options_.headers) headers.push_back({name, value});
  const std::string request =
      protocol::handshake_request(target_.authority, target_.path, key_, headers);
  out_.insert(out_.end(), as_bytes(request).begin(), as_bytes(request).end());
}

std::optional<ClientEvent> Link::read_answer() {
  Bytes rest = input_;
  const auto progress = parser_.feed(rest);
  input_ = input_.last(rest.size());
  if (progress == protocol::HttpProgress::kMore) return std::nullopt;
  if (progress == protocol::HttpProgress::kError)
    return fail(fmt::format("malformed answer: {}", parser_.error_reason()));
  return take_acceptance();
}

// The answer is whole.
std::optional<ClientEvent> Link::take_acceptance() {
  const protocol::HttpResponse& answer = parser_.response();
  if (answer.status != 101) {
    const std::string_view line = first_line(answer.body);
    return fail(fmt::format("HTTP {} {}{}{}", answer.status, protocol::status_text(answer.status),
                            line.empty() ? "" : ": ", line),
                answer.status);
  }
  std::string_view wrong = protocol::wrong_with_acceptance(answer, key_);
  // RFC 6455 4.1: what was not asked for fails the connection.
  if (wrong.empty() && answer.header("Sec-WebSocket-Extensions"))
    wrong = "an extension that was not asked for";
  const std::string_view chosen =
      answer.header("Sec-WebSocket-Protocol").value_or(std::string_view());
  const auto& offered = options_.subprotocols;
  if (!chosen.empty() && std::find(offered.begin(), offered.end(), chosen) == offered.end()) {
    wrong = "a sub-protocol that was not offered";
  }
  if (!wrong.empty()) return fail(std::string(wrong), 101);
  subprotocol_ = chosen;
  session_.emplace(protocol::Role::kClient, &session_limits_);
  deadline_ = kNever;
  state_ = State::kOpen;
  return ClientEvent{.kind = ClientEvent::Kind::kOpen};
}

std::optional<ClientEvent> Link::take_frame(const protocol::Event& event) {
  using Kind = protocol::Event::Kind;
  switch (event.kind) {
    case Kind::kText:
      return ClientEvent{.kind = ClientEvent::Kind::kText, .payload = event.payload};
    case Kind::kBinary:
      return ClientEvent{.kind = ClientEvent::Kind::kBinary, .payload = event.payload};
    case Kind::kPing:
      if (state_ == State::kOpen) write_frame(protocol::Opcode::kPong, event.payload);
      return std::nullopt;
    case Kind::kPong:
      return std::nullopt;
    case Kind::kClose:
      // RFC 6455 5.5.1: a Close is answered with a Close, usually of the same code.
      if (state_ == State::kOpen) write_close(event.code, {});
      end_with(event.code, event.reason);
      return std::nullopt;
    case Kind::kViolation:
      if (state_ == State::kOpen) write_close(event.code, event.reason);
      end_with(event.code, event.reason);
      return std::nullopt;
  }
  return std::nullopt;
}

// TCP ended or failed.
std::optional<ClientEvent> Link::take_end(int error) {
  const bool is_authentic = tls_ == nullptr || tls_->has_heard_end();
  switch (state_) {
    case State::kConnecting:
    case State::kSecuring:
    case State::kHandshaking:
      // A refusal whose body lasts to the end of the connection.
      if (error == 0 && is_authentic && parser_.finish() == protocol::HttpProgress::kDone)
        return take_acceptance();
      return fail(error == 0 ? "the server ended the connection without an answer"
                             : std::strerror(error));
    case State::kOpen:
    case State::kClosing:
      return cut(1006, error == 0 ? "the server ended the connection without a Close"
                                  : std::strerror(error));
    case State::kEnding:
      return finish({.kind = ClientEvent::Kind::kClosed, .code = code_, .reason = reason_});
    case State::kOver:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ClientEvent> Link::flush() {
  const bool may_send = state_ != State::kOver && state_ != State::kConnecting && !socket_full_;
  for (Bytes rest = may_send ? unsent() : Bytes(); !rest.empty(); rest = unsent()) {
    loop_.send(descriptor_, rest, 0);
    std::size_t taken = rest.size();
    int error = 0;
    for (const net::Unsent& one : loop_.flush()) {
      taken = one.taken;
      error = one.error;
    }
    note_taken(taken);
    if (error == 0) continue;
    if (error != EAGAIN) return take_end(error);
    socket_full_ = true;
    loop_.want_writable(descriptor_);
    return std::nullopt;
  }
  loop_.flush();
  return std::nullopt;
}

// What the socket is to be given next.
Bytes Link::unsent() {
  const Bytes rest = Bytes(out_).subspan(out_sent_);
  if (tls_ == nullptr) return rest;
  if (tls_->unsent().empty()) note_said(tls_->seal(rest));
  return tls_->unsent();
}

void Link::note_taken(std::size_t bytes) {
  if (tls_ == nullptr) return note_said(bytes);
  tls_->note_taken(bytes);
}

// So many bytes of what was queued are the socket's, or sealed.
void Link::note_said(std::size_t bytes) {
  out_sent_ += bytes;
  if (out_sent_ < out_.size()) return;
  out_.clear();
  out_sent_ = 0;
}

// Behind what was said before, as far as the socket takes it at once: nobody waits for that.
void Link::say_last_word(protocol::TlsAlert alert) {
  for (const bool is_last : {false, true}) {
    if (is_last) tls_->end_writing(alert);
    for (Bytes rest = unsent(); !rest.empty() && !socket_full_; rest = unsent()) {
      loop_.send(descriptor_, rest, 0);
      socket_full_ = !loop_.flush().empty();
      note_taken(rest.size());
    }
  }
}

std::optional<ClientEvent> Link::look_at_clock() {
  const Instant now = loop_.now();
  if (now >= deadline_) {
    if (deadline_ == kGivenUp) return fail("closed before it was open");
    if (state_ == State::kConnecting) return fail("no connection in time");
    if (state_ == State::kSecuring) return fail("the TLS handshake did not end in time");
    if (state_ == State::kHandshaking) return fail("no answer in time");
    if (state_ == State::kClosing) return cut(1006, "no Close in time");
    return finish({.kind = ClientEvent::Kind::kClosed, .code = code_, .reason = reason_});
  }
  const bool is_watched = state_ == State::kOpen && options_.silence_max.count() != 0;
  if (is_watched && now >= heard_at_ + options_.silence_max)
    return cut(1006, "silent for too long");
  return std::nullopt;
}

Instant Link::due() const {
  const bool is_watched = state_ == State::kOpen && options_.silence_max.count() != 0;
  return is_watched ? std::min(deadline_, heard_at_ + options_.silence_max) : deadline_;
}

bool Link::send(MessageKind kind, Bytes payload) {
  const std::size_t frame_bytes = protocol::kFrameHeaderBytesMax + payload.size();
  if (state_ != State::kOpen || queued_bytes() + frame_bytes > options_.queue_bytes_max)
    return false;
  write_frame(kind == MessageKind::kText ? protocol::Opcode::kText : protocol::Opcode::kBinary,
              payload);
  return true;
}

void Link::close(std::uint16_t code, std::string_view reason) {
  switch (state_) {
    case State::kOpen:
      write_close(code, reason);
      state_ = State::kClosing;
      deadline_ = loop_.clock() + options_.close_timeout;
      return;
    case State::kConnecting:
    case State::kSecuring:
    case State::kHandshaking:
      deadline_ = kGivenUp;
      return;
    case State::kClosing:
    case State::kEnding:
    case State::kOver:
      return;
  }
}

void Link::write_frame(protocol::Opcode opcode, Bytes payload) {
  const protocol::MaskKey mask = new_mask();
  const std::size_t before = out_.size();
  out_.resize(before + protocol::frame_header_bytes(payload.size(), true) + payload.size());
  std::byte* at = out_.data() + before;
  at += protocol::write_frame_header(at, opcode, true, payload.size(), &mask);
  std::copy(payload.begin(), payload.end(), at);
  protocol::apply_mask({at, payload.size()}, mask);
}

void Link::write_close(std::uint16_t code, std::string_view reason) {
  const protocol::MaskKey mask = new_mask();
  std::array<std::byte, protocol::kCloseFrameBytesMax> frame;
  const std::size_t size = protocol::write_close_frame(frame.data(), code, reason, &mask);
  out_.insert(out_.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
}

// RFC 6455 10.3: a mask must not be foreseeable by whoever chose the payload.
protocol::MaskKey Link::new_mask() {
  protocol::MaskKey mask;
  if (randomness_left_ < mask.size()) {
    net::fill_random(randomness_);
    randomness_left_ = randomness_.size();
  }
  randomness_left_ -= mask.size();
  std::memcpy(mask.data(), randomness_.data() + randomness_left_, mask.size());
  return mask;
}

// All is said. RFC 6455 7.1.1: the server ends TCP first; a client waits for that, but not for
// ever.
void Link::end_with(std::uint16_t code, std::string_view reason) {
  code_ = code;
  reason_ = reason;
  state_ = State::kEnding;
  deadline_ = loop_.clock() + options_.close_timeout;
}

ClientEvent Link::finish(ClientEvent event) {
  state_ = State::kOver;
  input_ = {};
  if (tls_ != nullptr) tls_->end();
  deadline_ = kNever;
  loop_.close(descriptor_);
  loop_.flush();
  descriptor_ = -1;
  return event;
}

ClientEvent Link::fail(std::string reason, int status) {
  reason_ = std::move(reason);
  return finish({.kind = ClientEvent::Kind::kFailed, .status = status, .reason = reason_});
}

ClientEvent Link::cut(std::uint16_t code, std::string reason) {
  reason_ = std::move(reason);
  return finish({.kind = ClientEvent::Kind::kClosed, .code = code, .reason = reason_});
}

}  // namespace holdfast::client
