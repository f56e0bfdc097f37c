// Who a peer is, and whether it may come in, before its first request: PROXY headers, forwarded
// hops, limits of an address, without a kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "server/worker_scene.h"

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
  std::optional<Reply> request(const Request&, Publisher&) override {
    return Reply{.event_stream = true};
  }
  std::string who;
  bool is_local = false;
};

constexpr net::Descriptor kOne = 1001;
constexpr net::Descriptor kTwo = 1002;
constexpr net::Descriptor kBoth = 1003;

std::string upgrade(std::string_view more = {}) { return upgrade_request("/", more); }
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

class WorkerArrivalsTest : public WorkerScene {
 protected:
  WorkerArrivalsTest() {
    admission_.emplace(AdmissionLimits{50, 1, 0});  // one connection of each address
    settings_.drain_time = seconds(1);
    router_.add("/", register_);
  }
  void add_listeners(Worker& worker) override {
    worker.add_listener(kListener);
    worker.add_listener(kOne, {.proxy = ProxyVersions::kOne});
    worker.add_listener(kTwo, {.proxy = ProxyVersions::kTwo});
    worker.add_listener(kBoth, {.proxy = ProxyVersions::kBoth});
  }
  // What a newcomer is answered; nothing where it is dropped.
  std::string come(int descriptor, net::Descriptor listener, std::string_view text) {
    loop_.closed.erase(descriptor);
    return WorkerScene::come(descriptor, text, listener);
  }
  std::uint64_t refused(Refusal reason) { return counters_.of(reason).read(); }

  std::shared_ptr<Register> register_ = std::make_shared<Register>();
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
  EXPECT_THAT(come(5, kListener, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 400 "));
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

TEST_F(WorkerArrivalsTest, GivesBackNoHandshakeOfAnEarlierSecond) {
  admission_.emplace(AdmissionLimits{50, 1, 3});
  settings_.trusted_proxies = {*IpNetwork::parse("203.0.113.77/32")};
  const std::string forwarded = upgrade("X-Forwarded-For: 203.0.113.5\r\n");
  ASSERT_THAT(come(5, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 101 "));
  come(6, kOne, "");
  come(7, kOne, line("203.0.113.77"));
  loop_.advance(seconds(1));
  for (int i = 10; i < 13; ++i)
    ASSERT_THAT(come(i, kOne, line("203.0.113." + std::to_string(i)) + upgrade()),
                StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(say(6, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(say(7, forwarded), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(refused(Refusal::kPerAddress), 2u);
  EXPECT_THAT(come(13, kOne, line("203.0.113.13") + upgrade()), StartsWith("HTTP/1.1 503 "))
      << "three a second, and no more";
}

TEST_F(WorkerArrivalsTest, GivesBackTheHandshakeOfAStreamWhoseAddressHasEnough) {
  admission_.emplace(AdmissionLimits{50, 1, 3});
  settings_.trusted_proxies = {*IpNetwork::parse("203.0.113.77/32")};
  ASSERT_THAT(come(5, kOne, line("203.0.113.5") + upgrade()), StartsWith("HTTP/1.1 101 "));
  const std::string forwarded = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n";
  for (int i = 6; i < 12; ++i) {
    ASSERT_THAT(come(i, kOne, line("203.0.113.77") + forwarded), StartsWith("HTTP/1.1 503 "));
  }
  EXPECT_EQ(refused(Refusal::kPerAddress), 6u);
  EXPECT_THAT(come(18, kOne, line("203.0.113.6") + upgrade()), StartsWith("HTTP/1.1 101 "));
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
