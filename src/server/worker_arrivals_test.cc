// Who a peer is, and whether it may come in, before its first request: PROXY headers, forwarded
// hops, limits of an address, without a kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "broker/memory_broker.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

using protocol::ProxyVersions;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

// Accepts everybody, and remembers who came.
class Register final : public Handler {
 public:
  Verdict upgrade(Peer&, const Request& request) override {
    who = request.remote_address();
    is_local = request.from_loopback();
    return Verdict::accept();
  }
  std::string who;
  bool is_local = false;
};

constexpr net::Descriptor kPlain = 1000;
constexpr net::Descriptor kOne = 1001;
constexpr net::Descriptor kTwo = 1002;
constexpr net::Descriptor kBoth = 1003;

std::string upgrade(std::string_view more = {}) {
  return "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(more) + "\r\n";
}
std::string line(std::string_view source) {
  return "PROXY TCP4 " + std::string(source) + " 192.0.2.9 50000 443\r\n";
}
const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
// Version 2 of 203.0.113.<last>.
std::string binary(char last) {
  return kSignature + std::string("\x21\x11\0\x0C\xCB\0\x71", 7) + last +
         std::string("\xC0\0\2\x09\xC3\x50\x01\xBB", 8);
}
const std::string kLocal = kSignature + std::string("\x20\0\0\0", 4);

class WorkerArrivalsTest : public testing::Test {
 protected:
  WorkerArrivalsTest() {
    settings_.handshake_timeout = seconds(10);
    settings_.close_timeout = seconds(1);
    settings_.drain_time = seconds(1);
    settings_.queue_bytes_max = 1000;
    settings_.retry_after_seconds = "5";
    settings_.descriptors = 64;
    settings_.connections_max = 50;
    router_.add("/", register_);
  }

  Worker& worker() {
    if (worker_ == nullptr) {
      worker_ = std::make_unique<Worker>(settings_, router_, *admission_, loop_, mailbox_, broker_,
                                         0, counters_);
      worker_->add_listener(kPlain);
      worker_->add_listener(kOne, {.proxy = ProxyVersions::kOne});
      worker_->add_listener(kTwo, {.proxy = ProxyVersions::kTwo});
      worker_->add_listener(kBoth, {.proxy = ProxyVersions::kBoth});
    }
    return *worker_;
  }
  // What a newcomer is answered; nothing where it is dropped.
  std::string come(int descriptor, net::Descriptor listener, std::string_view text) {
    loop_.closed.erase(descriptor);
    loop_.accept(descriptor, listener);
    loop_.receive(descriptor, text);
    worker().turn();
    return std::exchange(loop_.sent[descriptor], {});
  }
  std::uint64_t refused(Refusal reason) { return counters_.of(reason).read(); }

  WorkerSettings settings_{};
  Router router_;
  std::shared_ptr<Register> register_ = std::make_shared<Register>();
  std::optional<Admission> admission_{AdmissionLimits{50, 1, 0}};  // one connection of each address
  FakeLoop loop_;
  std::unique_ptr<net::Waker> waker_ = net::Waker::create().value();
  broker::Mailbox mailbox_{*waker_, 100};
  broker::MemoryBroker broker_{{&mailbox_}};
  Counters counters_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerArrivalsTest, TakesThePeerForWhomTheBalancerNames) {
  EXPECT_THAT(come(5, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(register_->who, HasSubstr("203.0.113.5"));
  EXPECT_FALSE(register_->is_local);
  EXPECT_THAT(come(6, kTwo, binary(6) + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(register_->who, HasSubstr("203.0.113.6"));
  EXPECT_THAT(come(7, kBoth, kLocal + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_TRUE(register_->is_local) << "LOCAL: the balancer speaks for itself";
}

TEST_F(WorkerArrivalsTest, TakesAHeaderThatIsCutAnywhere) {
  for (const std::string& header : {line("203.0.113.5"), binary(5)}) {
    const std::string wire = header + upgrade();
    for (std::size_t cut = 1; cut < wire.size(); ++cut) {
      loop_.closed.erase(5);
      loop_.accept(5, kBoth);
      loop_.receive(5, wire.substr(0, cut));
      worker().turn();
      loop_.receive(5, wire.substr(cut));
      worker().turn();
      ASSERT_THAT(std::exchange(loop_.sent[5], {}), StartsWith("HTTP/1.1 101 ")) << cut;
      EXPECT_THAT(register_->who, HasSubstr("203.0.113.5"));
      loop_.end(5);
      worker().turn();
    }
  }
}

TEST_F(WorkerArrivalsTest, DropsWhoeverComesWithoutARightHeaderInSilence) {
  for (const auto& [listener, header] : {std::pair(kOne, std::string()),
                                         {kTwo, std::string()},
                                         {kBoth, std::string()},
                                         {kOne, binary(5)},
                                         {kTwo, line("203.0.113.5")},
                                         {kBoth, line("203.0.113.555")}}) {
    EXPECT_EQ(come(5, listener, header + upgrade()), "");
    EXPECT_TRUE(loop_.closed.contains(5));
  }
  EXPECT_EQ(refused(Refusal::kProxyHeader), 6u);
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(admission_->connections(), 0u);
}

TEST_F(WorkerArrivalsTest, OnAPlainListenerAHeaderIsNoRequest) {
  EXPECT_THAT(come(5, kPlain, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 400 "));
}

TEST_F(WorkerArrivalsTest, GivesHeaderAndRequestOneDeadline) {
  loop_.accept(5, kOne);
  loop_.accept(6, kOne);
  worker().turn();
  loop_.advance(seconds(9));
  loop_.receive(6, line("203.0.113.6"));
  worker().turn();
  loop_.advance(seconds(2));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "") << "it never said whom it stands for";
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_THAT(loop_.sent[6], StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(refused(Refusal::kTimeout), 2u);
}

TEST_F(WorkerArrivalsTest, CountsTheClientAndNotTheBalancer) {
  EXPECT_THAT(come(5, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(come(6, kTwo, binary(5) + upgrade()), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(come(7, kTwo, binary(6) + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(refused(Refusal::kPerAddress), 1u);
  loop_.end(5);
  worker().turn();
  EXPECT_THAT(come(8, kBoth, binary(5) + upgrade()), StartsWith("HTTP/1.1 101 "))
      << "its place was given back";
}

TEST_F(WorkerArrivalsTest, LetsWhoIsOverItsOwnLimitTakeNoHandshakesOfOthers) {
  admission_.emplace(AdmissionLimits{50, 1, 3});
  settings_.trusted_proxies = {*IpNetwork::parse("203.0.113.77/32")};
  ASSERT_THAT(come(5, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 101 "));
  for (int i = 6; i < 12; ++i)
    ASSERT_THAT(come(i, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 503 "));
  const std::string forwarded = upgrade("X-Forwarded-For: 203.0.113.5\r\n");
  for (int i = 12; i < 18; ++i)
    ASSERT_THAT(come(i, kOne, line("203.0.113.77") + forwarded), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(refused(Refusal::kPerAddress), 12u);
  EXPECT_THAT(come(18, kOne, line("203.0.113.6") + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(come(19, kOne, line("203.0.113.7") + upgrade()), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(come(20, kOne, line("203.0.113.8") + upgrade()), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(refused(Refusal::kRate), 1u) << "three a second, and no more";
}

TEST_F(WorkerArrivalsTest, BelievesATrustedProxyThatAHeaderNames) {
  settings_.trusted_proxies = {*IpNetwork::parse("203.0.113.0/24")};
  EXPECT_THAT(come(5, kOne, line("203.0.113.5") + upgrade("X-Forwarded-For: 198.51.100.1\r\n")),
              StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(register_->who, HasSubstr("198.51.100.1"));
  EXPECT_THAT(come(6, kOne, line("203.0.113.5") + upgrade("X-Forwarded-For: 198.51.100.1\r\n")),
              StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(come(7, kOne, line("203.0.113.5") + upgrade("X-Forwarded-For: 198.51.100.2\r\n")),
              StartsWith("HTTP/1.1 101 "));
}

TEST_F(WorkerArrivalsTest, CountsOneThatIsDrainedBeforeItsHeaderAsRefused) {
  loop_.accept(5, kOne);
  worker().turn();
  worker().drain();
  loop_.advance(seconds(2));
  worker().turn();
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(refused(Refusal::kDraining), 1u);
  EXPECT_EQ(admission_->connections(), 0u);
}

TEST_F(WorkerArrivalsTest, ReadsAHeaderThatADrainMeetsAsItsListenerWants) {
  loop_.accept(5, kOne);
  loop_.accept(6, kTwo);
  worker().turn();
  worker().drain();
  loop_.receive(5, line("203.0.113.5") + upgrade());
  loop_.receive(6, line("203.0.113.6") + upgrade());
  worker().turn();
  EXPECT_THAT(loop_.sent[5], StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(register_->who, HasSubstr("203.0.113.5"));
  EXPECT_EQ(loop_.sent[6], "") << "it takes version 2 alone";
  EXPECT_EQ(refused(Refusal::kProxyHeader), 1u);
}

}  // namespace
}  // namespace holdfast::server
