#include "commands/serve_endpoints.h"

#include <algorithm>
#include <cctype>
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
  explicit Topics(std::string publish_token) : publish_token_(std::move(publish_token)) {}

  void open(Peer& peer, const Request& request) override { peer.subscribe(topic_of(request)); }

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
    if (publisher.publish(topic_of(request), kind, body))
      return Reply{.status = 202, .body = "published\n"};
    return Reply{.status = 503,
                 .body = "a worker cannot keep up; some subscribers will miss this message\n",
                 .headers = {{"Retry-After", "1"}}};
  }

 private:
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
};

}  // namespace

void add_endpoints(Server& server, const std::string& publish_token) {
  server.route("/", std::make_shared<Hold>());
  server.route("/echo", std::make_shared<Echo>());
  server.route(std::string(kTopicsPrefix) + "*", std::make_shared<Topics>(publish_token));
}

}  // namespace holdfast::commands
