#include "commands/serve_endpoints.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "protocol/http_header.h"
#include "protocol/utf8.h"

namespace holdfast::commands {
namespace {

constexpr std::string_view kTopicsPrefix = "/topics/";
// For who asks for the newest values and does not say how often.
constexpr std::chrono::milliseconds kConflationWindow{5};
constexpr std::string_view kTopicMethods = "GET, HEAD, POST, OPTIONS";

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

// Which web pages may publish from a browser (the Fetch standard, 3.2). A page of any site can make
// its visitor's browser send a POST to this server, even to one on the visitor's own machine; the
// browser names the page, and cannot be made to lie.
class WebPages {
 public:
  explicit WebPages(std::vector<std::string> origins) : origins_(std::move(origins)) {}

  // Whether the page that sent this may; what is no page may always. A page of our own host is not
  // foreign.
  bool may(const Request& request) const {
    const auto origin = request.header("Origin");
    return !origin || is_listed(*origin) || is_own(*origin, request.header("Host").value_or(""));
  }
  // Lets the page read the answer.
  void open(const Request& request, Reply& reply) const {
    const auto origin = request.header("Origin");
    if (!origin || !is_listed(*origin)) return;
    reply.headers.emplace_back("Access-Control-Allow-Origin", takes_all() ? "*" : *origin);
    if (!takes_all()) reply.headers.emplace_back("Vary", "Origin");
  }
  Reply preflight(const Request& request) const {
    Reply reply{.status = 204, .headers = {{"Allow", std::string(kTopicMethods)}}};
    if (origins_.empty() || !request.header("Access-Control-Request-Method")) return reply;
    open(request, reply);
    reply.headers.emplace_back("Access-Control-Allow-Methods", "POST");
    reply.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
    reply.headers.emplace_back("Access-Control-Max-Age", "600");
    return reply;
  }

 private:
  bool takes_all() const {
    return std::find(origins_.begin(), origins_.end(), "*") != origins_.end();
  }
  bool is_listed(std::string_view origin) const {
    return takes_all() ||
           std::any_of(origins_.begin(), origins_.end(), [&](const std::string& listed) {
             return protocol::equals_ignoring_case(listed, origin);
           });
  }
  static bool is_own(std::string_view origin, std::string_view host) {
    const std::size_t colon = origin.find("://");
    return colon != std::string_view::npos && !host.empty() &&
           protocol::equals_ignoring_case(origin.substr(colon + 3), host);
  }

  const std::vector<std::string> origins_;
};

class Topics final : public Handler {
 public:
  explicit Topics(const ServeSettings& settings)
      : publish_token_(settings.publish_token),
        pages_(settings.cors_origins),
        window_(settings.topic_window) {}

  Verdict upgrade(Peer&, const Request& request) override {
    const auto given = value_in(request.query(), "window");
    const auto window = given ? read_window(*given) : std::nullopt;
    if (given && !window)
      return Verdict::refuse(400, "window is a time of 0 to 1000 ms: ?window=5ms");
    if (window && window->count() == 0 && value_in(request.query(), "conflate"))
      return Verdict::refuse(400,
                             "conflate needs a window, of which the newest is sent: "
                             "?window=5ms&conflate");
    return Verdict::accept();
  }

  void open(Peer& peer, const Request& request) override {
    SubscribeOptions options{.window = window_};
    if (const auto window = value_in(request.query(), "window"))
      options.window = read_window(*window).value_or(window_);
    options.conflate = value_in(request.query(), "conflate").has_value();
    if (options.conflate && options.window.count() == 0) options.window = kConflationWindow;
    peer.subscribe(topic_of(request), options);
  }

  std::optional<Reply> request(const Request& request, Publisher& publisher) override {
    if (request.method() == "GET") return std::nullopt;
    if (request.method() == "OPTIONS") return pages_.preflight(request);
    if (request.method() != "POST")
      return Reply{.status = 405,
                   .body = "GET subscribes, POST publishes\n",
                   .headers = {{"Allow", std::string(kTopicMethods)}}};
    if (!pages_.may(request))
      return Reply{.status = 403,
                   .body = "pages of this origin may not publish; cors-origins does not list it\n"};
    Reply reply = publish(request, publisher);
    pages_.open(request, reply);
    return reply;
  }

 private:
  static std::string_view topic_of(const Request& request) {
    return request.path().substr(kTopicsPrefix.size());
  }

  Reply publish(const Request& request, Publisher& publisher) const {
    if (auto refusal = refusal_of(request)) return *std::move(refusal);
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

  // As durations are written everywhere, or milliseconds: up to a second.
  static std::optional<std::chrono::milliseconds> read_window(std::string_view text) {
    std::uint32_t bare = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bare);
    const bool is_bare = error == std::errc() && end == text.data() + text.size();
    const auto window = is_bare ? std::chrono::milliseconds(bare)
                                : parse_duration(text).value_or(std::chrono::milliseconds(-1));
    if (window < std::chrono::milliseconds(0) || window > std::chrono::seconds(1))
      return std::nullopt;
    return window;
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
  const WebPages pages_;
  const std::chrono::milliseconds window_;
};

}  // namespace

void add_endpoints(Server& server, const ServeSettings& settings) {
  server.route("/", std::make_shared<Hold>());
  server.route("/echo", std::make_shared<Echo>());
  server.route(std::string(kTopicsPrefix) + "*", std::make_shared<Topics>(settings));
}

}  // namespace holdfast::commands
