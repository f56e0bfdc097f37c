// A worker whose connections speak TLS, with OpenSSL on the server's side.

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "client/fake_loop.h"
#include "load/worker.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"
#include "protocol/tls_peer.h"

namespace holdfast::load {
namespace {

using std::chrono::milliseconds;

Instant begin_of_time() { return Instant(std::chrono::seconds(1000)); }

class SecureWorkerTest : public testing::Test {
 protected:
  SecureWorkerTest() {
    options_.connections = 2;
    options_.rate = 0;
    target_ = *client::Target::parse("wss://127.0.0.9:8443/room");
  }

  void start(bool insecure = true) {
    sources_ = *SourcePlan::make("auto", target_.address, PortRange{}, options_.connections, {});
    WorkerPlan plan;
    plan.options = &options_;
    plan.target = &target_;
    plan.sources = &sources_;
    plan.connections = static_cast<std::uint32_t>(options_.connections);
    plan.tls = *protocol::TlsClientContext::make({.name = "localhost", .verify = !insecure});
    plan.origin = loop_.time;
    plan.clock = begin_of_time;
    worker_.emplace(plan, loop_, baton_, live_);
  }
  // Without sleep, or all would be too late.
  void turn() {
    loop_.coming.push_back({net::Completion::Kind::kWoken});
    worker_->turn();
  }
  void pass(Phase phase) {
    baton_.pass(phase);
    turn();
  }
  // Lets client and server talk until neither has more to say.
  void settle(net::Descriptor descriptor) {
    protocol::SslEnd& server = *servers_.at(descriptor);
    for (int i = 0; i < 6 && loop_.open.contains(descriptor); ++i) {
      server.input(as_bytes(loop_.take_sent(descriptor)));
      if (!server.is_done()) server.handshake();
      heard_[descriptor] += server.read();
      const auto out = server.output();
      if (!out.empty()) loop_.received(descriptor, as_text(out));
      turn();
    }
  }
  // All that were begun, up to the 101.
  void accept_all() {
    for (std::size_t i = accepted_; i < loop_.connects.size(); ++i, ++accepted_) {
      const net::Descriptor descriptor = loop_.connects[i].descriptor;
      servers_[descriptor] = std::make_unique<protocol::SslEnd>(contexts_.get(), true);
      heard_.erase(descriptor);
      loop_.connected(descriptor);
      turn();
      settle(descriptor);
      if (!heard_[descriptor].empty()) answer(descriptor);
    }
  }
  void answer(net::Descriptor descriptor) {
    protocol::HttpLimits limits;
    protocol::HttpRequestParser parser(&limits);
    Bytes input = as_bytes(heard_[descriptor]);
    ASSERT_EQ(parser.feed(input), protocol::HttpProgress::kDone);
    const auto verdict = protocol::judge_handshake(parser.request());
    std::array<std::byte, protocol::kHandshakeResponseBytesMax> out;
    const std::size_t size = protocol::write_handshake_response(out.data(), verdict.key);
    heard_[descriptor].clear();
    servers_.at(descriptor)->write(as_text(Bytes(out).first(size)));
    settle(descriptor);
  }
  WorkerOutcome finish() {
    pass(Phase::kLeave);
    for (int i = 0; i < 100 && !worker_->finished(); ++i) turn();
    return worker_->take_outcome();
  }

  client::FakeLoop loop_;
  LoadOptions options_;
  client::Target target_;
  SourcePlan sources_;
  Baton baton_;
  LiveCounters live_;
  const protocol::Identity identity_{"localhost"};
  protocol::SslContextPointer contexts_ = protocol::server_context(identity_);
  std::map<net::Descriptor, std::unique_ptr<protocol::SslEnd>> servers_;
  std::map<net::Descriptor, std::string> heard_;
  std::size_t accepted_ = 0;
  std::optional<Worker> worker_;
};

TEST_F(SecureWorkerTest, OpensHoldsAndAnswersPings) {
  start();
  pass(Phase::kOpen);
  accept_all();
  EXPECT_EQ(live_.open.load(), 2u);
  pass(Phase::kHold);
  const net::Descriptor first = loop_.connects[0].descriptor;
  servers_.at(first)->write("\x89\x01x");
  settle(first);
  ASSERT_EQ(heard_[first].size(), 7u);
  EXPECT_EQ(heard_[first].substr(0, 2), "\x8a\x81");
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.held, 2u);
  EXPECT_EQ(outcome.tally.tls.full, 2u);
  EXPECT_EQ(outcome.tally.tls.resumed, 0u) << "they are new here";
  EXPECT_EQ(outcome.tally.tls.attached, 0u);
  EXPECT_EQ(outcome.tally.tls.failed(), 0u);
}

TEST_F(SecureWorkerTest, ThoseWhoComeBackResume) {
  options_.scenario = Scenario::kStorm;
  start();
  pass(Phase::kOpen);
  accept_all();
  pass(Phase::kHold);
  pass(Phase::kDrop);
  pass(Phase::kOpen);
  accept_all();
  EXPECT_EQ(live_.open.load(), 2u);
  EXPECT_EQ(live_.tls_full.load(), 2u);
  EXPECT_EQ(live_.tls_resumed.load(), 2u);
}

TEST_F(SecureWorkerTest, WhomItCannotVerifyIsRefusedAndTold) {
  start(false);
  pass(Phase::kOpen);
  accept_all();
  EXPECT_EQ(live_.refused.load(), 2u);
  EXPECT_TRUE(live_.phase_done.load());
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.tally.tls.unverified, 2u);
  ASSERT_EQ(outcome.tally.refused_by_reason.size(), 1u);
  EXPECT_EQ(outcome.tally.refused_by_reason.begin()->first,
            "certificate not verified: self-signed certificate");
  EXPECT_TRUE(loop_.reset_ones.empty()) << "an alert would be lost";
}

TEST_F(SecureWorkerTest, LeavesAServerThatAsksForMoreHandshakesAndReadsNoRefusal) {
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  start();
  pass(Phase::kOpen);
  accept_all();
  pass(Phase::kHold);
  const net::Descriptor first = loop_.connects[0].descriptor;
  protocol::SslEnd& server = *servers_.at(first);
  loop_.room[first] = 0;
  int asked = 0;
  for (; asked < 20'000 && loop_.open.contains(first); ++asked) {
    ASSERT_EQ(SSL_renegotiate(server.ssl()), 1);
    server.handshake();
    loop_.received(first, as_text(server.output()));
    turn();
  }
  EXPECT_LT(asked, 13'000) << "256 KiB that wait for the socket, and 64 KiB before them";
  EXPECT_EQ(finish().held, 1u);
}

TEST_F(SecureWorkerTest, ASilentServerIsATimeoutOfTls) {
  start();
  pass(Phase::kOpen);
  for (const auto& connect : loop_.connects) loop_.connected(connect.descriptor);
  turn();
  loop_.time += options_.open_timeout + milliseconds(1);
  turn();
  const WorkerOutcome outcome = finish();
  EXPECT_EQ(outcome.tally.refused_by_reason.at("timeout of the TLS handshake"), 2u);
  EXPECT_EQ(outcome.tally.tls.timeouts, 2u);
}

}  // namespace
}  // namespace holdfast::load
