#include "holdfast/admin.h"

#include <charconv>
#include <functional>
#include <memory>

#include "admin/dashboard.h"
#include "admin/metrics.h"
#include "admin/operators.h"
#include "admin/readiness.h"
#include "protocol/utf8.h"

namespace holdfast::admin {
namespace {

constexpr std::chrono::milliseconds kSurveyPatience{1'000};
constexpr std::size_t kRowsMax = 1'000;

class Page : public Handler {
 public:
  using Make = std::function<Reply(const Request&)>;
  explicit Page(Make make) : make_(std::move(make)) {}
  Verdict upgrade(Peer&, const Request&) override {
    return Verdict::refuse(404, "there is no WebSocket at this path");
  }
  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() == "GET") return make_(request);
    if (request.method() == "OPTIONS") return std::nullopt;
    return Reply{405,
                 "this page takes GET alone\n",
                 "text/plain; charset=utf-8",
                 {{"Allow", "GET, HEAD, OPTIONS"}}};
  }

 private:
  Make make_;
};

Reply json_reply(std::string body) { return Reply{200, std::move(body), "application/json"}; }
Reply wrong(std::string what) { return Reply{400, std::move(what) + "\n"}; }

Reply readyz(const server::Cluster& cluster) {
  const Readiness state =
      readiness(resources(cluster), cluster.is_draining(), cluster.options().high_water_percent);
  return Reply{state.ready ? 200 : 503, state.reason + "\n"};
}

// The number in a query, `fallback` where there is none, nothing where it is no number of 1 to
// kRowsMax.
std::optional<std::size_t> rows_wanted(const Request& request, std::size_t fallback) {
  const auto text = request.parameter("limit");
  if (!text) return fallback;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  const bool whole = error == std::errc() && end == text->data() + text->size();
  return whole && value >= 1 && value <= kRowsMax ? std::optional(value) : std::nullopt;
}

Reply connections(const server::Cluster& cluster, const AdminParts& parts, const Request& request) {
  const auto limit = rows_wanted(request, 100);
  if (!limit) return wrong("limit is a number of 1 to 1000: ?limit=100");
  const std::string sort = request.parameter("sort").value_or("queued");
  if (sort != "queued" && sort != "silent")
    return wrong("sort is queued (most bytes waiting first) or silent (longest not heard of)");
  const server::SurveyOrder order{
      .connections_max = *limit,
      .sort = sort == "queued" ? server::SurveySort::kQueued : server::SurveySort::kSilent};
  return json_reply(survey_json(cluster, cluster.survey(order, kSurveyPatience), parts));
}

Reply topics(const server::Cluster& cluster, const AdminParts& parts, const Request& request) {
  const auto limit = rows_wanted(request, 100);
  if (!limit) return wrong("limit is a number of 1 to 1000: ?limit=100");
  const server::SurveyOrder order{.connections_max = 0, .topics_max = *limit};
  return json_reply(survey_json(cluster, cluster.survey(order, kSurveyPatience), parts));
}

// DELETE /connections/ID?code=1008&reason=...
class Disconnect final : public Handler {
 public:
  explicit Disconnect(Server& server) : server_(server) {}
  Verdict upgrade(Peer&, const Request&) override {
    return Verdict::refuse(404, "there is no WebSocket at this path");
  }
  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() != "DELETE") {
      return Reply{405,
                   "a connection takes DELETE alone: it is closed\n",
                   "text/plain; charset=utf-8",
                   {{"Allow", "DELETE"}}};
    }
    if (auto refusal = refuse_stranger(request)) return refusal;
    const auto id = read_id(request.path().substr(request.path().rfind('/') + 1));
    if (!id) return wrong("a connection's id is as /connections gives it: 3-1042-17");
    unsigned code = 1008;
    if (const auto text = request.parameter("code")) {
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), code);
      if (error != std::errc() || end != text->data() + text->size() || !may_be_sent(code))
        return wrong("code is one that a server may send: 1000..1003, 1007..1014, 3000..4999");
    }
    const std::string reason = request.parameter("reason").value_or("disconnected by the operator");
    if (!server_.close(*id, static_cast<std::uint16_t>(code), reason))
      return Reply{404, "nobody has this id\n"};
    return Reply{202, "its worker was told; if the id is still that connection's, it is closing\n"};
  }

 private:
  Server& server_;
};

// /debug/topics/NAME: what a topic's subscribers get, and publishing to it, for the console of the
// dashboard.
class DebugTopics final : public Handler {
 public:
  Verdict upgrade(Peer&, const Request& request) override {
    if (auto refusal = refuse_stranger(request)) return Verdict::refuse(std::move(*refusal));
    return Verdict::accept();
  }
  void open(Peer& peer, const Request& request) override { peer.subscribe(topic_of(request)); }
  std::optional<Reply> request(const Request& request, Publisher& publisher) override {
    if (request.method() != "POST") return std::nullopt;
    if (auto refusal = refuse_stranger(request)) return refusal;
    const std::string topic = topic_of(request);
    if (!protocol::is_valid_utf8(request.body())) return wrong("a text is UTF-8");
    if (!publisher.publish(topic, MessageKind::kText, request.body()))
      return Reply{503, "a worker's mailbox is full: some subscribers missed it\n"};
    return Reply{202, ""};
  }

 private:
  static std::string topic_of(const Request& request) {
    return std::string(request.path().substr(kDebugTopics.size()));
  }
  static constexpr std::string_view kDebugTopics = "/debug/topics/";
};

Reply dashboard() {
  return Reply{200,
               std::string(dashboard_page()),
               "text/html; charset=utf-8",
               {{"Content-Security-Policy",
                 "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                 "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                 "frame-ancestors 'none'"},
                {"X-Content-Type-Options", "nosniff"},
                {"Referrer-Policy", "no-referrer"},
                {"Cache-Control", "no-cache"}}};
}

}  // namespace
}  // namespace holdfast::admin

namespace holdfast {

void add_admin_routes(Server& server, const AdminParts& parts) {
  using admin::Page;
  const server::Cluster& cluster = server.cluster();
  const auto page = [&server](std::string path, Page::Make make) {
    server.admin_route(std::move(path), std::make_shared<Page>(std::move(make)));
  };
  page("/", [](const Request&) { return admin::dashboard(); });
  page("/healthz", [](const Request&) { return Reply{200, "ok\n"}; });
  page("/readyz", [&cluster](const Request&) { return admin::readyz(cluster); });
  page("/metrics", [&cluster, parts](const Request&) {
    return Reply{200, admin::metrics_text(cluster, parts),
                 "text/plain; version=0.0.4; charset=utf-8"};
  });
  page("/stats", [&cluster, parts](const Request&) {
    return admin::json_reply(admin::stats_json(cluster, parts));
  });
  page("/connections", [&cluster, parts](const Request& request) {
    return admin::connections(cluster, parts, request);
  });
  page("/topics", [&cluster, parts](const Request& request) {
    return admin::topics(cluster, parts, request);
  });
  server.admin_route("/connections/*", std::make_shared<admin::Disconnect>(server));
  server.admin_route("/debug/topics/*", std::make_shared<admin::DebugTopics>());
}

}  // namespace holdfast
