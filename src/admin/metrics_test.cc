#include "admin/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/check.h"
#include "server/cluster.h"

namespace holdfast::admin {
namespace {

using testing::HasSubstr;

// Subscribes who comes, and keeps its worker from its mail until it may go on.
class Stuck final : public Handler {
 public:
  void open(Peer& peer, const Request&) override {
    peer.subscribe("news");
    is_stuck = true;
    is_stuck.notify_all();
    may_go_on.wait(false);
  }
  std::atomic<bool> is_stuck{false}, may_go_on{false};
};

// A WebSocket to a port of 127.0.0.1, opened and then left alone.
int come(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  constexpr std::string_view kUpgrade =
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  CHECK(::send(descriptor, kUpgrade.data(), kUpgrade.size(), 0) ==
        static_cast<ssize_t>(kUpgrade.size()));
  return descriptor;
}

TEST(Metrics, CountPublicationsThatAFullMailboxRefusedWhoeverPublishedThem) {
  Options options;
  options.listen = {"127.0.0.1:0"};
  options.admin = "off";
  options.workers = 1;
  server::Cluster cluster(options);
  const auto stuck = std::make_shared<Stuck>();
  cluster.router().add("/", stuck);
  ASSERT_EQ(cluster.start(), std::nullopt);
  const std::string& address = cluster.addresses().front();
  const int peer =
      come(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  stuck->is_stuck.wait(false);

  std::uint64_t refused = 0;
  while (refused < 3) refused += cluster.publish("news", MessageKind::kText, {}) ? 0 : 1;
  EXPECT_THAT(metrics_text(cluster), HasSubstr("\nholdfast_publications_lost_total 3\n"));
  EXPECT_THAT(stats_json(cluster), HasSubstr("\"publications_lost_total\": 3"));

  stuck->may_go_on = true;
  stuck->may_go_on.notify_all();
  cluster.stop();
  ::close(peer);
}

}  // namespace
}  // namespace holdfast::admin
