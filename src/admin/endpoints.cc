#include "admin/endpoints.h"

#include <functional>
#include <memory>

#include "admin/metrics.h"
#include "admin/readiness.h"

namespace holdfast::admin {
namespace {

class Page final : public Handler {
 public:
  explicit Page(std::function<Reply()> make) : make_(std::move(make)) {}
  int upgrade(const Request&) override { return 404; }
  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() == "GET") return make_();
    return Reply{405, "this page takes GET alone\n", "text/plain; charset=utf-8", {{"Allow", "GET"}}};
  }

 private:
  std::function<Reply()> make_;
};

Reply readyz(const server::Cluster& cluster) {
  const Readiness state = readiness(resources(cluster), cluster.is_draining(), cluster.options().high_water_percent);
  return Reply{state.ready ? 200 : 503, state.reason + "\n"};
}

}  // namespace

void add_admin_endpoints(Server& server) {
  const server::Cluster& cluster = server.cluster();
  server.admin_route("/healthz", std::make_shared<Page>([] { return Reply{200, "ok\n"}; }));
  server.admin_route("/readyz", std::make_shared<Page>([&cluster] { return readyz(cluster); }));
  server.admin_route("/metrics", std::make_shared<Page>([&cluster] {
                       return Reply{200, metrics_text(cluster), "text/plain; version=0.0.4; charset=utf-8"};
                     }));
  server.admin_route("/stats", std::make_shared<Page>([&cluster] { return Reply{200, stats_json(cluster), "application/json"}; }));
}

}  // namespace holdfast::admin
