// A connection's first life: an HTTP request, which becomes a WebSocket, an answer, or a refusal.

#include <fmt/format.h>

#include <algorithm>

#include "protocol/event_stream.h"
#include "protocol/handshake.h"
#include "protocol/http_date.h"
#include "protocol/http_response.h"
#include "protocol/subprotocol.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

using protocol::HttpHeader;

constexpr std::string_view kNothingHere = "there is nothing at this path";
constexpr std::string_view kAllowedByDefault = "GET, HEAD, OPTIONS";

Reply options_reply() {
  return Reply{.status = 204, .headers = {{"Allow", std::string(kAllowedByDefault)}}};
}

// RFC 9110 6.6.1: a server with a clock dates what it says. Most answers of a second share one
// text.
std::string date_of(std::int64_t unix_seconds) {
  thread_local std::int64_t second = 0;
  thread_local std::string text;
  if (unix_seconds != second) text = unix_seconds == 0 ? "" : protocol::http_date(unix_seconds);
  second = unix_seconds;
  return text;
}

Refusal refusal_of(int status) {
  switch (status) {
    case 404:
      return Refusal::kNotFound;
    case 405:
      return Refusal::kMethod;
    case 413:
      return Refusal::kBodyTooLarge;
    case 426:
      return Refusal::kVersion;
    case 431:
      return Refusal::kHeadTooLarge;
    case 401:
    case 403:
      return Refusal::kForbidden;
    default:
      return Refusal::kMalformed;
  }
}

// Where an answer ends, and what becomes of the connection, is ours to say (RFC 9112 6.3, 9.6): a
// second word on it would let others read another answer than we sent.
bool is_framing(std::string_view name) {
  return protocol::equals_ignoring_case(name, "Content-Length") ||
         protocol::equals_ignoring_case(name, "Transfer-Encoding") ||
         protocol::equals_ignoring_case(name, "Connection");
}

// Of a handler's answer, which may hold what a client wrote: a line end in it would be a header, or
// an answer, of the client's making. Its own Date and Content-Type take the place of ours.
std::vector<HttpHeader> headers_of(const Reply& reply, int status, std::string_view date) {
  std::vector<HttpHeader> headers;
  if (!date.empty()) headers.push_back({"Date", date});
  if (protocol::has_content(status) && protocol::is_field_value(reply.content_type))
    headers.push_back({"Content-Type", reply.content_type});
  const std::size_t ours = headers.size();
  for (const auto& [name, value] : reply.headers) {
    if (!protocol::is_token(name) || !protocol::is_field_value(value) || is_framing(name)) continue;
    const auto end = headers.begin() + static_cast<std::ptrdiff_t>(ours);
    const auto same = std::find_if(headers.begin(), end, [&](const HttpHeader& header) {
      return protocol::equals_ignoring_case(header.name, name);
    });
    if (same != end) {
      same->value = value;
    } else {
      headers.push_back({name, value});
    }
  }
  return headers;
}

// 1xx are no answer, 101 least of all; an upgrade may not be refused with what looks like success.
int status_of(const Reply& reply, int least) {
  return reply.status >= least && reply.status <= 599 ? reply.status : 500;
}

bool is_let_in(const std::vector<protocol::OriginPattern>& origins,
               const protocol::HttpRequest& request) {
  const auto origin = request.header("Origin");
  return !origin || std::any_of(origins.begin(), origins.end(),
                                [&](const auto& pattern) { return pattern.fits(*origin); });
}

// What a handler sees of a request. Who the peer is costs a system call, so it is asked for only
// when the handler asks.
class RequestView final : public Request {
 public:
  RequestView(const Worker& worker, const protocol::HttpRequest& request, int descriptor)
      : worker_(worker), request_(request), descriptor_(descriptor) {}
  // RFC 9110 9.3.2: HEAD is GET whose answer comes without its body; that is not the handler's
  // business.
  std::string_view method() const override {
    return request_.method == "HEAD" ? "GET" : request_.method;
  }
  std::string_view path() const override { return request_.path; }
  std::string_view query() const override { return request_.query; }
  std::optional<std::string_view> header(std::string_view name) const override {
    return request_.header(name);
  }
  Bytes body() const override { return request_.body; }
  std::vector<std::string_view> subprotocols() const override {
    return protocol::offered_subprotocols(request_.headers);
  }
  bool from_loopback() const override {
    const auto address = worker_.client_address(descriptor_, request_);
    return address && address->is_loopback();
  }
  std::string remote_address() const override {
    const auto address = worker_.client_address(descriptor_, request_);
    return address ? address->to_string() : "";
  }

  const ClientCertificate* client_certificate() const override {
    return worker_.client_certificate(descriptor_);
  }

 private:
  const Worker& worker_;
  const protocol::HttpRequest& request_;
  int descriptor_;
};

}  // namespace

std::unique_ptr<protocol::HttpRequestParser> Worker::take_parser() {
  if (spare_parser_ != nullptr) return std::move(spare_parser_);
  return std::make_unique<protocol::HttpRequestParser>(&settings_.http);
}

std::string Worker::address_of(int descriptor) const {
  const auto address = loop_.peer_address(descriptor);
  return address && address->ip() ? address->to_string() : std::string();
}

// The request of most peers comes whole: the worker's one parser reads it, and nothing stays
// behind. Only half a request takes the parser along.
void Worker::take_request(int descriptor, Connection& connection, MutableBytes bytes) {
  auto parser = connection.busy != nullptr && connection.busy->request != nullptr
                    ? std::move(connection.busy->request)
                    : take_parser();
  Bytes rest = bytes;
  take_requests(descriptor, connection, parser, rest);
  if (parser != nullptr) {
    // One that was cut off in the middle must not colour the next peer's request.
    parser->reset();  // NOLINT(clang-analyzer-cplusplus.Move): it was not moved from
    spare_parser_ = std::move(parser);
  }
  if (connection.state != State::kRequest && connection.busy != nullptr)
    connection.busy->proxy.reset();
  connection.rest();
  // Frames that came in the same packet as the request.
  if (connection.state == State::kOpen && !rest.empty()) {
    take_frames(descriptor, connection, bytes.last(rest.size()));
  }
}

// One behind the other (RFC 9112 9.3.2), as long as the peer takes the answers too.
void Worker::take_requests(int descriptor, Connection& connection,
                           std::unique_ptr<protocol::HttpRequestParser>& parser, Bytes& rest) {
  const std::uint64_t sent_before = counters_.bytes_sent.read();
  while (connection.state == State::kRequest && !rest.empty()) {
    const std::uint64_t waiting = connection.busy == nullptr ? 0 : connection.busy->outbox.bytes();
    // One that asks on and on and takes no answer.
    if (waiting > settings_.queue_bytes_max)
      return release(descriptor, connection, Ending::kQueueFull, 1006);
    if (counters_.bytes_sent.read() - sent_before + waiting > settings_.queue_bytes_max) {
      counters_.of(Refusal::kPipelining).add();
      return linger(descriptor, connection, Ending::kHandler);
    }
    const bool was_begun = parser->started();
    const bool head_was_done = parser->head_done();
    if (parser->feed(rest) != protocol::HttpRequestParser::Progress::kMore) {
      answer(descriptor, connection, *parser, rest);
      parser->reset();
      continue;
    }
    if (!head_was_done && parser->head_done())
      continue_or_refuse(descriptor, connection, parser->request());
    if (connection.state == State::kRequest) {
      // It may have begun long after the last answer.
      if (!was_begun && connection.has(Connection::kKeptAlive))
        begin_request_deadline(descriptor, connection);
      connection.make_busy().request = std::move(parser);
    } else {
      parser->reset();
    }
    return;
  }
}

// RFC 9110 10.1.1: who expects 100 sends the body when it is told to, or not at all. Other
// expectations are not ours to meet.
void Worker::continue_or_refuse(int descriptor, Connection& connection,
                                const protocol::HttpRequest& request) {
  const auto expected = request.header("Expect");
  if (!expected || request.minor_version == 0 ||
      !protocol::equals_ignoring_case(*expected, "100-continue"))
    return;
  // RFC 9110 9.3.2: an answer to HEAD has no body, whatever it says.
  const bool with_body = request.method != "HEAD";
  if (connection.has(Connection::kRefuse))
    return refuse(descriptor, connection, 503, Refusal::kConnectionsMax, {}, with_body);
  if (!router_.find(request.path))
    return refuse(descriptor, connection, 404, Refusal::kNotFound, kNothingHere, with_body);
  send_text(descriptor, "HTTP/1.1 100 Continue\r\n\r\n");
}

void Worker::answer(int descriptor, Connection& connection, protocol::HttpRequestParser& parser,
                    Bytes& rest) {
  if (connection.has(Connection::kRefuse)) {
    const bool is_head = parser.error_status() == 0 && parser.request().method == "HEAD";
    return refuse(descriptor, connection, 503, Refusal::kConnectionsMax, {}, !is_head);
  }
  if (parser.error_status() != 0) {
    rest = {};
    return refuse(descriptor, connection, parser.error_status(), refusal_of(parser.error_status()),
                  parser.error_reason());
  }
  const protocol::HttpRequest& request = parser.request();
  const auto route = router_.find(request.path);
  if (route) connection.route = *route;
  if (request.upgrade) {
    const bool with_body = request.method != "HEAD";
    if (!route)
      return refuse(descriptor, connection, 404, Refusal::kNotFound, kNothingHere, with_body);
    return upgrade(descriptor, connection, request);
  }
  // RFC 9110 9.3.7: of the server as a whole.
  if (request.method == "OPTIONS" && request.path == "*")
    return send_reply(descriptor, connection, request, options_reply());
  if (!route)
    return decline(descriptor, connection, request, 404, Refusal::kNotFound, kNothingHere);
  reply(descriptor, connection, request);
}

void Worker::upgrade(int descriptor, Connection& connection, const protocol::HttpRequest& request) {
  const auto verdict = protocol::judge_handshake(request);
  if (verdict.status != 101) {
    return refuse(descriptor, connection, verdict.status, refusal_of(verdict.status),
                  verdict.reason, request.method != "HEAD");
  }
  if (!settings_.origins.empty() && !is_let_in(settings_.origins, request)) {
    return refuse(descriptor, connection, 403, Refusal::kForbidden,
                  "pages of this origin may not open a WebSocket here");
  }
  Handler& handler = router_.handler(connection.route);
  const RequestView view(*this, request, descriptor);
  if (!enter_client(descriptor, request)) return refuse_address(descriptor, connection);
  Peer peer(*this, descriptor);
  const Verdict answer = handler.upgrade(peer, view);
  if (answer.refusal) return turn_away(descriptor, connection, *answer.refusal);
  // RFC 6455 4.2.2: only what the client offered may be chosen.
  const bool chosen = !answer.subprotocol.empty() &&
                      answer.subprotocol.size() <= protocol::kSubprotocolBytesMax &&
                      protocol::offers_subprotocol(request.headers, answer.subprotocol);
  std::array<char, protocol::kExtensionsBytesMax> terms;
  const std::string_view extensions = agree_on_deflate(connection, request, terms);
  std::byte* out = transmit_.reserve(protocol::kHandshakeResponseBytesMax);
  const std::size_t size = protocol::write_handshake_response(
      out, verdict.key, chosen ? answer.subprotocol : std::string_view(), extensions);
  queue(descriptor, connection, {out, size}, -1);
  opened(descriptor, connection, view);
}

void Worker::opened(int descriptor, Connection& connection, const Request& view) {
  connection.state = State::kOpen;
  connection.clear(Connection::kKeptAlive);
  connection.since = tick_of(loop_.now());
  counters_.opened.add();
  counters_.connections.add();
  keepalive_.wake(loop_.now());
  if (rates_.are_limited()) rates_.reset(descriptor);
  Peer peer(*this, descriptor);
  router_.handler(connection.route).open(peer, view);
  if (connection.tls) (*tls_)[descriptor].forget_client_certificate();
}

void Worker::reply(int descriptor, Connection& connection, const protocol::HttpRequest& request) {
  const RequestView view(*this, request, descriptor);
  const auto answer = router_.handler(connection.route).request(view, *this);
  if (answer && answer->event_stream && request.method == "GET")
    return begin_stream(descriptor, connection, request, view, *answer);
  if (answer && answer->event_stream && request.method == "HEAD") {
    // RFC 9110 9.3.2: the fields that a GET would have got, and they end the connection.
    counters_.requests.add();
    send_text(descriptor, stream_head(*answer));
    return linger(descriptor, connection, Ending::kHandler);
  }
  if (answer) return send_reply(descriptor, connection, request, *answer);
  if (request.method == "OPTIONS")
    return send_reply(descriptor, connection, request, options_reply());
  // RFC 9110 15.5.22: a WebSocket alone lives here.
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  decline(
      descriptor, connection, request, is_get ? 426 : 405,
      is_get ? Refusal::kVersion : Refusal::kMethod,
      is_get ? "this path speaks WebSocket: send an upgrade request" : "this path takes GET alone");
}

void Worker::send_reply(int descriptor, Connection& connection,
                        const protocol::HttpRequest& request, const Reply& answer) {
  prompt_until_ = loop_.now() + std::chrono::seconds(1);
  counters_.requests.add();
  const std::string date = date_of(loop_.unix_seconds());
  const int status = status_of(answer, 200);
  const std::vector<HttpHeader> headers = headers_of(answer, status, date);
  const bool keep_alive = request.keep_alive && !draining_;
  send_text(descriptor, protocol::http_response(status, headers, answer.body, keep_alive,
                                                request.method != "HEAD"));
  end_or_await_next(descriptor, connection, keep_alive);
}

std::string Worker::stream_head(Reply answer) const {
  answer.content_type = protocol::kEventStreamType;
  std::erase_if(answer.headers, [](const auto& header) {
    return protocol::equals_ignoring_case(header.first, "Content-Type");
  });
  const std::string date = date_of(loop_.unix_seconds());
  std::vector<HttpHeader> headers = headers_of(answer, 200, date);
  headers.push_back({"Cache-Control", "no-store"});
  headers.push_back({"X-Accel-Buffering", "no"});  // nginx would wait for more
  return protocol::http_stream_head(headers);
}

// Says no to a request that was understood: the next one may be answered otherwise.
void Worker::decline(int descriptor, Connection& connection, const protocol::HttpRequest& request,
                     int status, Refusal reason, std::string_view text) {
  counters_.of(reason).add();
  const bool keep_alive = request.keep_alive && !draining_;
  send_text(descriptor, refusal_text(status, text, keep_alive, request.method != "HEAD"));
  end_or_await_next(descriptor, connection, keep_alive);
}

// Says no, and takes the connection out of service. The reason for a peer over a limit was counted
// when it came.
void Worker::refuse(int descriptor, Connection& connection, int status, Refusal reason,
                    std::string_view text, bool with_body) {
  if (!connection.has(Connection::kRefuse)) counters_.of(reason).add();
  send_text(descriptor, refusal_text(status, text, false, with_body));
  linger(descriptor, connection, Ending::kHandler);
}

std::string Worker::refusal_text(int status, std::string_view text, bool keep_alive,
                                 bool with_body) const {
  const std::string date = date_of(loop_.unix_seconds());
  std::vector<HttpHeader> headers;
  if (!date.empty()) headers.push_back({"Date", date});
  headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
  if (status == 405) headers.push_back({"Allow", kAllowedByDefault});
  if (status == 426) {
    headers.push_back({"Upgrade", "websocket"});
    headers.push_back({"Sec-WebSocket-Version", "13"});
  }
  if (status == 503) headers.push_back({"Retry-After", settings_.retry_after_seconds});
  if (status == 401) headers.push_back({"WWW-Authenticate", "Bearer"});
  const std::string body =
      text.empty() ? fmt::format("{}\n", protocol::status_text(status)) : fmt::format("{}\n", text);
  return protocol::http_response(status, headers, body, keep_alive, with_body);
}

// After an answer. The next request has as long to begin, and then to be whole, as the first had.
void Worker::end_or_await_next(int descriptor, Connection& connection, bool keep_alive) {
  if (!keep_alive) return linger(descriptor, connection, Ending::kHandler);
  connection.set(Connection::kKeptAlive);
  begin_request_deadline(descriptor, connection);
}

void Worker::begin_request_deadline(int descriptor, Connection& connection) {
  const Tick now = tick_of(loop_.now());
  if (connection.since == now) return;  // its entry is there
  connection.since = now;
  heads_.push(descriptor, loop_.now());
}

// Answered, and nothing more asked: it ends without a word, behind those that it is still owed.
void Worker::end_between_requests(int descriptor, Connection& connection, Ending ending) {
  if (has_unsent(connection)) return linger(descriptor, connection, ending);
  release(descriptor, connection, ending, 1006);
}

// A handler's refusal of an upgrade.
void Worker::turn_away(int descriptor, Connection& connection, const Reply& reply) {
  counters_.of(Refusal::kForbidden).add();
  const int status = status_of(reply, 300);
  const std::string date = date_of(loop_.unix_seconds());
  send_text(descriptor,
            protocol::http_response(status, headers_of(reply, status, date), reply.body, false));
  linger(descriptor, connection, Ending::kHandler);
}

void Worker::send_text(int descriptor, std::string_view text) {
  Connection& connection = table_[descriptor];
  std::byte* out = transmit_.reserve(text.size());
  std::copy(as_bytes(text).begin(), as_bytes(text).end(), out);
  queue(descriptor, connection, {out, text.size()}, -1);
}

// The request did not come in time (RFC 9110 15.5.9). One that was answered before and asks nothing
// more just ends.
void Worker::expire_head(int descriptor, Connection& connection) {
  if (connection.is_between_requests())
    return end_between_requests(descriptor, connection, Ending::kHandler);
  if (connection.state == State::kProxyHeader) {
    // No answer: whoever speaks the PROXY protocol would pass it to nobody.
    if (!connection.has(Connection::kRefuse)) counters_.of(Refusal::kTimeout).add();
    return release(descriptor, connection, Ending::kHandler, 1006);
  }
  if (connection.tls && expire_handshake(descriptor, connection)) return;
  refuse(descriptor, connection, 408, Refusal::kTimeout, "the request did not come in time");
}

// One that is under way is answered, as a newcomer's would be.
void Worker::drain_request(int descriptor, Connection& connection) {
  if (connection.busy != nullptr && connection.busy->request != nullptr) {
    return refuse(descriptor, connection, 503, Refusal::kDraining, "the server is going away");
  }
  if (connection.is_between_requests())
    return end_between_requests(descriptor, connection, Ending::kDrained);
  count_unanswered(connection, Refusal::kDraining);
  release(descriptor, connection, Ending::kDrained, 1006);
}

}  // namespace holdfast::server
