// A connection's first life: an HTTP request, which becomes a WebSocket, an answer, or a refusal.

#include <fmt/format.h>

#include <array>

#include "protocol/handshake.h"
#include "protocol/http_response.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

using protocol::HttpHeader;

// Peers over a limit are answered as long as there are descriptors to spare for it; more of them than that are cut.
constexpr std::uint32_t kRefusedAtOnceMax = 64;

class RequestView final : public Request {
 public:
  RequestView(const protocol::HttpRequest& request, const net::Loop& loop, int descriptor)
      : request_(request), loop_(loop), descriptor_(descriptor) {}
  std::string_view method() const override { return request_.method; }
  std::string_view path() const override { return request_.path; }
  std::string_view query() const override { return request_.query; }
  std::optional<std::string_view> header(std::string_view name) const override { return request_.header(name); }
  std::span<const std::byte> body() const override { return request_.body; }
  bool from_loopback() const override {
    const auto address = loop_.peer_address(descriptor_);
    return address && address->is_loopback();
  }

 private:
  const protocol::HttpRequest& request_;
  const net::Loop& loop_;
  int descriptor_;
};

std::uint32_t hash_of(const net::Address& address) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : address.host()) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return hash;
}

Refusal refusal_of(int status) {
  switch (status) {
    case 404: return Refusal::kNotFound;
    case 405: return Refusal::kMethod;
    case 413: return Refusal::kBodyTooLarge;
    case 426: return Refusal::kVersion;
    case 431: return Refusal::kHeadTooLarge;
    case 401:
    case 403: return Refusal::kForbidden;
    default: return Refusal::kMalformed;
  }
}

}  // namespace

void Worker::accepted(int descriptor) {
  counters_.accepted.add();
  has_newcomers_ = true;
  Connection& connection = table_.take(descriptor);
  connection.state = State::kRequest;
  connection.since = tick_of(loop_.now());
  counters_.descriptors.add();
  heads_.push(descriptor, loop_.now());

  std::uint32_t hash = 0;
  if (address_hashes_ != nullptr) {
    const auto address = loop_.peer_address(descriptor);
    hash = address ? hash_of(*address) : 0;
    address_hashes_.get()[descriptor] = hash;
  }
  // Everything in the table beyond the limit is being refused, so this bounds those.
  const std::uint64_t in_table = counters_.descriptors.read();
  std::optional<Refusal> refusal = in_table > settings_.connections_max ? std::optional(Refusal::kWorkerFull) : std::nullopt;
  if (!refusal) refusal = admission_.enter(loop_.now(), hash);
  if (!refusal) return connection.set(Connection::kCounted);
  counters_.of(*refusal).add();
  connection.set(Connection::kRefuse);
  if (in_table <= settings_.connections_max + kRefusedAtOnceMax) return;
  table_.release(descriptor);
  counters_.descriptors.subtract();
  loop_.reset(descriptor);
}

std::unique_ptr<protocol::HttpRequestParser> Worker::take_parser() {
  if (spare_parser_ != nullptr) return std::move(spare_parser_);
  return std::make_unique<protocol::HttpRequestParser>(&settings_.http);
}

// The request of most peers comes whole: the worker's one parser reads it, and nothing stays behind. Only half a request takes the
// parser along.
void Worker::take_request(int descriptor, Connection& connection, MutableBytes bytes) {
  auto parser = connection.busy != nullptr && connection.busy->request != nullptr ? std::move(connection.busy->request)
                                                                                  : take_parser();
  Bytes rest = bytes;
  while (connection.state == State::kRequest && !rest.empty()) {
    const auto progress = parser->feed(rest);
    if (progress == protocol::HttpRequestParser::Progress::kMore) {
      connection.make_busy().request = std::move(parser);
      return;
    }
    answer(descriptor, connection, *parser, rest);
    parser->reset();
  }
  spare_parser_ = std::move(parser);
  connection.rest();
  // Frames that came in the same packet as the request.
  if (connection.state == State::kOpen && !rest.empty()) {
    take_frames(descriptor, connection, bytes.last(rest.size()));
  }
}

void Worker::answer(int descriptor, Connection& connection, protocol::HttpRequestParser& parser, Bytes& rest) {
  if (connection.has(Connection::kRefuse)) return refuse(descriptor, connection, 503, Refusal::kConnectionsMax);
  // One that asks on and on and takes no answer. None is cut short for its size alone, so the last one may go beyond the limit.
  if (connection.busy != nullptr && connection.busy->outbox.bytes() > settings_.queue_bytes_max) {
    return release(descriptor, connection, Ending::kQueueFull, 1006);
  }
  if (parser.error_status() != 0) {
    rest = {};
    return refuse(descriptor, connection, parser.error_status(), refusal_of(parser.error_status()), parser.error_reason());
  }
  const protocol::HttpRequest& request = parser.request();
  const auto route = router_.find(request.path);
  if (!route) return refuse(descriptor, connection, 404, Refusal::kNotFound, "there is nothing at this path");
  connection.route = *route;
  if (request.upgrade) {
    upgrade(descriptor, connection, request);
  } else {
    reply(descriptor, connection, request);
  }
}

void Worker::upgrade(int descriptor, Connection& connection, const protocol::HttpRequest& request) {
  const auto verdict = protocol::judge_handshake(request);
  if (verdict.status != 101) {
    return refuse(descriptor, connection, verdict.status, refusal_of(verdict.status), verdict.reason);
  }
  Handler& handler = router_.handler(connection.route);
  const RequestView view(request, loop_, descriptor);
  if (const int status = handler.upgrade(view); status != 101) {
    return refuse(descriptor, connection, status, Refusal::kForbidden);
  }
  std::array<char, protocol::kExtensionsBytesMax> terms;
  const std::string_view extensions = agree_on_deflate(connection, request, terms);
  std::byte* out = transmit_.reserve(protocol::kHandshakeResponseBytesMax);
  queue(descriptor, connection, {out, protocol::write_handshake_response(out, verdict.key, {}, extensions)}, -1);
  connection.state = State::kOpen;
  connection.clear(Connection::kKeptAlive);
  connection.since = tick_of(loop_.now());
  counters_.opened.add();
  counters_.connections.add();
  keepalive_.wake(loop_.now());
  if (rates_.are_limited()) rates_.reset(descriptor);
  Peer peer(*this, descriptor);
  handler.open(peer, view);
}

void Worker::reply(int descriptor, Connection& connection, const protocol::HttpRequest& request) {
  const RequestView view(request, loop_, descriptor);
  const auto answer = router_.handler(connection.route).request(view, *this);
  if (!answer) {
    // RFC 9110 15.5.22: a WebSocket alone lives here.
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    return refuse(descriptor, connection, is_get ? 426 : 405, is_get ? Refusal::kVersion : Refusal::kMethod,
                  is_get ? "this path speaks WebSocket: send an upgrade request" : "this path takes GET alone");
  }
  prompt_until_ = loop_.now() + std::chrono::seconds(1);
  counters_.requests.add();
  std::vector<HttpHeader> headers = {{"Content-Type", answer->content_type}};
  for (const auto& [name, value] : answer->headers) headers.push_back({name, value});
  const bool keep_alive = request.keep_alive && !draining_;
  send_text(descriptor, protocol::http_response(answer->status, headers, answer->body, keep_alive));
  if (!keep_alive) return linger(descriptor, connection, Ending::kHandler);
  connection.set(Connection::kKeptAlive);
  connection.since = tick_of(loop_.now());
  heads_.push(descriptor, loop_.now());
}

// Says no, and takes the connection out of service. The reason for a peer over a limit was counted when it came.
void Worker::refuse(int descriptor, Connection& connection, int status, Refusal reason, std::string_view text) {
  if (!connection.has(Connection::kRefuse)) counters_.of(reason).add();
  std::vector<HttpHeader> headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  if (status == 405) headers.push_back({"Allow", "GET"});
  if (status == 426) {
    headers.push_back({"Upgrade", "websocket"});
    headers.push_back({"Sec-WebSocket-Version", "13"});
  }
  if (status == 503) headers.push_back({"Retry-After", settings_.retry_after_seconds});
  if (status == 401) headers.push_back({"WWW-Authenticate", "Bearer"});
  const std::string body = text.empty() ? fmt::format("{}\n", protocol::status_text(status)) : fmt::format("{}\n", text);
  send_text(descriptor, protocol::http_response(status, headers, body, false));
  linger(descriptor, connection, Ending::kHandler);
}

void Worker::send_text(int descriptor, std::string_view text) {
  Connection& connection = table_[descriptor];
  std::byte* out = transmit_.reserve(text.size());
  std::copy(as_bytes(text).begin(), as_bytes(text).end(), out);
  queue(descriptor, connection, {out, text.size()}, -1);
}

// The request did not come in time (RFC 9110 15.5.9). One that was answered before and asks nothing more just ends.
void Worker::expire_head(int descriptor, Connection& connection) {
  if (connection.has(Connection::kKeptAlive) && connection.busy == nullptr) {
    return release(descriptor, connection, Ending::kHandler, 1006);
  }
  refuse(descriptor, connection, 408, Refusal::kTimeout, "the request did not come in time");
}

}  // namespace holdfast::server
