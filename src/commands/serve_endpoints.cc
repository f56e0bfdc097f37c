#include "commands/serve_endpoints.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "protocol/utf8.h"

namespace holdfast::commands {
namespace {

constexpr std::string_view kTopicsPrefix = "/topics/";

class Hold final : public Handler {
 public:
  bool wants_promptness() const override { return false; }
};

class Echo final : public Handler {
 public:
  void message(Peer& peer, MessageKind kind, std::span<const std::byte> payload) override {
    peer.send(kind, payload);
  }
};

// Takes the same time wherever the first difference stands, so that a token cannot be guessed byte
// by byte.
bool is_same_secret(std::string_view given, std::string_view wanted) {
  unsigned difference = given.size() == wanted.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^
                  static_cast<unsigned char>(wanted[i % wanted.size()]);
  }
  return difference == 0;
}

// The token of "Bearer TOKEN"; empty for another scheme. RFC 9110 11.1: a scheme's case does not
// matter.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  const auto same = [](char scheme, char given) {
    return scheme == static_cast<char>(std::tolower(static_cast<unsigned char>(given)));
  };
  const std::string_view scheme = authorization.substr(0, kScheme.size());
  if (!std::equal(kScheme.begin(), kScheme.end(), scheme.begin(), scheme.end(), same)) return {};
  return authorization.substr(kScheme.size());
}

class Topics final : public Handler {
 public:
  Topics(std::string publish_token, std::chrono::milliseconds window)
      : publish_token_(std::move(publish_token)), window_(window) {}

  int upgrade(const Request& request) override {
    const auto window = value_in(request.query(), "window");
    return window && !read_window(*window) ? 400 : 101;
  }

  void open(Peer& peer, const Request& request) override {
    SubscribeOptions options{.window = window_};
    if (const auto window = value_in(request.query(), "window")) options.window = read_window(*window).value_or(window_);
    options.conflate = value_in(request.query(), "conflate").has_value();
    peer.subscribe(topic_of(request), options);
  }

  std::optional<Reply> request(const Request& request, Publisher& publisher) override {
    if (request.method() == "GET" || request.method() == "HEAD") return std::nullopt;
    if (request.method() != "POST")
      return Reply{.status = 405,
                   .body = "GET subscribes, POST publishes\n",
                   .headers = {{"Allow", "GET, POST"}}};
    if (auto refusal = refusal_of(request)) return refusal;
    const std::span<const std::byte> body = request.body();
    const MessageKind kind =
        protocol::is_valid_utf8(body) ? MessageKind::kText : MessageKind::kBinary;
    const PublishOptions options{.key = value_in(request.query(), "key").value_or("")};
    if (publisher.publish(topic_of(request), kind, body, options))
      return Reply{.status = 202, .body = "published\n"};
    return Reply{.status = 503,
                 .body = "a worker cannot keep up; some subscribers will miss this message\n",
                 .headers = {{"Retry-After", "1"}}};
  }

 private:
  // The value behind `name=` in a query string, as it was sent; empty for a bare `name`.
  static std::optional<std::string_view> value_in(std::string_view query, std::string_view name) {
    while (!query.empty()) {
      const std::string_view field = query.substr(0, query.find('&'));
      query.remove_prefix(std::min(query.size(), field.size() + 1));
      const std::string_view key = field.substr(0, field.find('='));
      if (key == name) return field.substr(std::min(field.size(), key.size() + 1));
    }
    return std::nullopt;
  }

  // "5ms" or "5": up to a second.
  static std::optional<std::chrono::milliseconds> read_window(std::string_view text) {
    if (text.ends_with("ms")) text.remove_suffix(2);
    std::uint32_t milliseconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
    if (error != std::errc() || end != text.data() + text.size() || milliseconds > 1000) return std::nullopt;
    return std::chrono::milliseconds(milliseconds);
  }

  static std::string_view topic_of(const Request& request) {
    return request.path().substr(kTopicsPrefix.size());
  }

  std::optional<Reply> refusal_of(const Request& request) const {
    if (publish_token_.empty()) {
      if (request.from_loopback()) return std::nullopt;
      return Reply{.status = 403,
                   .body = "without a publish-token, only this machine may publish\n"};
    }
    const auto given = request.header("Authorization");
    if (given && is_same_secret(bearer_token(*given), publish_token_)) return std::nullopt;
    return Reply{.status = 401,
                 .body = "publishing needs the publish-token: Authorization: Bearer TOKEN\n",
                 .headers = {{"WWW-Authenticate", "Bearer"}}};
  }

  const std::string publish_token_;
  const std::chrono::milliseconds window_;
};

}  // namespace

void add_endpoints(Server& server, const ServeSettings& settings) {
  server.route("/", std::make_shared<Hold>());
  server.route("/echo", std::make_shared<Echo>());
  server.route(std::string(kTopicsPrefix) + "*", std::make_shared<Topics>(settings.publish_token, settings.topic_window));
}

}  // namespace holdfast::commands
