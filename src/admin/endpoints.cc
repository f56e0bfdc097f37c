#include "holdfast/admin.h"

#include <functional>
#include <memory>

#include "admin/metrics.h"
#include "admin/readiness.h"

namespace holdfast::admin {
namespace {

class Page final : public Handler {
 public:
  explicit Page(std::function<Reply()> make) : make_(std::move(make)) {}
  Verdict upgrade(Peer&, const Request&) override {
    return Verdict::refuse(404, "there is no WebSocket at this path");
  }
  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() == "GET") return make_();
    if (request.method() == "OPTIONS") return std::nullopt;
    return Reply{405,
                 "this page takes GET alone\n",
                 "text/plain; charset=utf-8",
                 {{"Allow", "GET, HEAD, OPTIONS"}}};
  }

 private:
  std::function<Reply()> make_;
};

Reply readyz(const server::Cluster& cluster) {
  const Readiness state =
      readiness(resources(cluster), cluster.is_draining(), cluster.options().high_water_percent);
  return Reply{state.ready ? 200 : 503, state.reason + "\n"};
}

}  // namespace
}  // namespace holdfast::admin

namespace holdfast {

using admin::Page;

void add_admin_routes(Server& server) {
  const server::Cluster& cluster = server.cluster();
  server.admin_route("/healthz", std::make_shared<Page>([] { return Reply{200, "ok\n"}; }));
  server.admin_route("/readyz",
                     std::make_shared<Page>([&cluster] { return admin::readyz(cluster); }));
  server.admin_route("/metrics", std::make_shared<Page>([&cluster] {
                       return Reply{200, admin::metrics_text(cluster),
                                    "text/plain; version=0.0.4; charset=utf-8"};
                     }));
  server.admin_route("/stats", std::make_shared<Page>([&cluster] {
                       return Reply{200, admin::stats_json(cluster), "application/json"};
                     }));
}

}  // namespace holdfast
