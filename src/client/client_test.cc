#include "holdfast/client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace holdfast {
namespace {

using std::chrono::milliseconds;

// The kernel connects it; nobody answers.
class SilentServer {
 public:
  SilentServer() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, length), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(socket_); }
  std::string url() const { return "ws://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

// The clock's end was overrun: it came back at once, again and again.
TEST(Client, WaitsForEverWhereItIsAskedTo) {
  const SilentServer server;
  Client client({.open_timeout = milliseconds::max(),
                 .close_timeout = milliseconds::max(),
                 .silence_max = milliseconds::max()});
  ASSERT_EQ(client.connect(server.url()), std::nullopt);
  const auto began = std::chrono::steady_clock::now();
  std::thread other([&client] {
    std::this_thread::sleep_for(milliseconds(200));
    client.wake();
  });
  EXPECT_FALSE(client.next(milliseconds::max())) << "it was woken, no more";
  other.join();
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(150));
  EXPECT_FALSE(client.is_over());
}

}  // namespace
}  // namespace holdfast
