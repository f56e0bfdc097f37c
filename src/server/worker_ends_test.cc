// How peers are told of their end where the path has words for it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/memory_broker.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

class Polite final : public Handler {
 public:
  void open(Peer& peer, const Request&) override { peer.subscribe("news"); }
  void close(Peer&, std::uint16_t code) override { codes.push_back(code); }
  std::uint16_t queue_full_code() const override { return 4100; }
  std::uint16_t no_pong_code() const override { return 4201; }
  void review(Peer& peer) override {
    reviewed.push_back(static_cast<int>(peer.id().descriptor));
    if (peer.id().descriptor == unwanted) peer.close(4001, "go");
  }
  std::vector<int> codes, reviewed;
  std::uint32_t unwanted = 0;
};

constexpr std::string_view kUpgrade =
    "GET /polite HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

std::string close_of(std::uint16_t code) {
  return {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
}

class WorkerEndsTest : public testing::Test {
 protected:
  WorkerEndsTest() {
    settings_.ping_interval = seconds(20);
    settings_.pong_timeout = seconds(5);
    settings_.handshake_timeout = seconds(10);
    settings_.close_timeout = seconds(1);
    settings_.queue_bytes_max = 1000;
    settings_.descriptors = 1024;
    settings_.connections_max = 1000;
    router_.add("/polite", polite_);
  }

  Worker& worker() {
    if (worker_ == nullptr) {
      worker_ = std::make_unique<Worker>(settings_, router_, admission_, loop_, mailbox_, broker_,
                                         0, counters_);
      worker_->add_listener(1000);
    }
    return *worker_;
  }
  void open(int descriptor) {
    loop_.accept(descriptor);
    loop_.receive(descriptor, kUpgrade);
    worker().turn();
    ASSERT_THAT(loop_.sent[descriptor], StartsWith("HTTP/1.1 101 "));
    loop_.sent[descriptor].clear();
  }
  void publish(std::size_t bytes) {
    worker().publish("news", MessageKind::kText, as_bytes(std::string(bytes, 'x')));
    worker().turn();
  }
  void make_room(int descriptor, std::size_t bytes) {
    loop_.limit(descriptor, bytes);
    loop_.make_writable(descriptor);
    worker().turn();
  }
  void pass(Duration time) {
    for (Duration done{}; done < time; done += milliseconds(50)) {
      loop_.advance(milliseconds(50));
      worker().turn();
    }
  }

  WorkerSettings settings_{};
  Router router_;
  std::shared_ptr<Polite> polite_ = std::make_shared<Polite>();
  Admission admission_{AdmissionLimits{1000, 0, 0}};
  FakeLoop loop_;
  std::unique_ptr<net::Waker> waker_ = net::Waker::create().value();
  broker::Mailbox mailbox_{*waker_, 100};
  broker::MemoryBroker broker_{{&mailbox_}};
  Counters counters_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerEndsTest, TellsASlowReaderBehindTheMessageThatItHasAPartOf) {
  open(5);
  loop_.limit(5, 100);
  for (int i = 0; i < 4; ++i) publish(400);
  EXPECT_THAT(polite_->codes, ElementsAre(1006));
  EXPECT_EQ(counters_.connections.read(), 1u) << "it is being closed";
  EXPECT_LT(counters_.queued_bytes.read(), 500u) << "what it will not hear is not kept";
  make_room(5, 10'000);
  const std::string& heard = loop_.sent[5];
  const std::size_t message = 4 + 400;
  ASSERT_GT(heard.size(), message);
  EXPECT_EQ(heard.substr(4, 400), std::string(400, 'x'));
  EXPECT_EQ(heard[message], '\x88');
  EXPECT_EQ(heard.substr(message + 2, 2), close_of(4100));
  pass(seconds(2));
  EXPECT_EQ(loop_.closed.count(5), 1u);
  EXPECT_EQ(counters_.of(Ending::kQueueFull).read(), 1u);
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerEndsTest, TellsASlowReaderWhoseSocketTookNothing) {
  open(5);
  loop_.limit(5, 0);
  for (int i = 0; i < 4; ++i) publish(400);
  make_room(5, 10'000);
  ASSERT_GT(loop_.sent[5].size(), 4u);
  EXPECT_EQ(loop_.sent[5][0], '\x88');
  EXPECT_EQ(loop_.sent[5].substr(2, 2), close_of(4100));
}

TEST_F(WorkerEndsTest, CutsASlowReaderThatDoesNotReadOn) {
  open(5);
  loop_.limit(5, 100);
  for (int i = 0; i < 4; ++i) publish(400);
  pass(seconds(2));
  EXPECT_EQ(loop_.closed.count(5), 1u);
  EXPECT_EQ(counters_.of(Ending::kQueueFull).read(), 1u);
  EXPECT_EQ(counters_.connections.read(), 0u);
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerEndsTest, TellsOneWhosePongDidNotComeAndWaitsForNothing) {
  open(5);
  while (!loop_.sent[5].starts_with("\x89")) pass(milliseconds(50));
  loop_.sent[5].clear();
  pass(seconds(5) + milliseconds(200));
  ASSERT_GT(loop_.sent[5].size(), 4u);
  EXPECT_EQ(loop_.sent[5].substr(2, 2), close_of(4201));
  EXPECT_EQ(loop_.shut.count(5), 1u);
  EXPECT_THAT(polite_->codes, ElementsAre(1006));
  EXPECT_EQ(counters_.of(Ending::kPongMissed).read(), 1u);
  pass(seconds(2));
  EXPECT_EQ(loop_.closed.count(5), 1u);
  EXPECT_EQ(counters_.of(Ending::kPongMissed).read(), 1u);
  EXPECT_EQ(counters_.connections.read(), 0u);
}

TEST_F(WorkerEndsTest, ReviewsEveryOpenPeerOnceAFewInATurn) {
  for (int descriptor = 5; descriptor < 605; ++descriptor) open(descriptor);
  polite_->unwanted = 300;
  worker().review();
  worker().turn();
  EXPECT_EQ(polite_->reviewed.size(), 256u);
  EXPECT_EQ(worker().next_due(), loop_.now()) << "it goes on at once";
  worker().turn();
  worker().turn();
  worker().turn();
  EXPECT_EQ(polite_->reviewed.size(), 600u);
  EXPECT_GT(worker().next_due(), loop_.now());
  EXPECT_EQ(loop_.sent[300].substr(2, 2), close_of(4001));
  EXPECT_THAT(loop_.sent[301], IsEmpty());
  EXPECT_THAT(polite_->codes, ElementsAre(4001));
}

}  // namespace
}  // namespace holdfast::server
