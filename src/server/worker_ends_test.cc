// How peers are told of their end where the path has words for it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/worker_scene.h"

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

std::string close_of(std::uint16_t code) {
  return {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
}

class WorkerEndsTest : public WorkerScene {
 protected:
  WorkerEndsTest() { router_.add("/polite", polite_); }

  void open(int descriptor) {
    ASSERT_THAT(come(descriptor, upgrade_request("/polite")), StartsWith("HTTP/1.1 101 "));
  }
  void publish(std::size_t bytes) {
    worker().publish("news", MessageKind::kText, as_bytes(std::string(bytes, 'x')));
    worker().turn();
  }

  std::shared_ptr<Polite> polite_ = std::make_shared<Polite>();
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
