#include "pusher/webhook_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pusher/signature.h"

namespace holdfast::pusher {
namespace {

using std::chrono::seconds;
using testing::SizeIs;

class WebhookQueueTest : public testing::Test {
 protected:
  WebhookQueueTest() {
    App app;
    app.id = "1", app.key = "key", app.secret = "secret";
    app.webhooks = {Webhook{"http://a/", {}}, Webhook{"http://b/", {WebhookEvent::kClientEvent}}};
    apps_ = *AppTable::make({app});
  }
  void note(WebhookEvent kind, std::string_view json, std::string_view channel = "room") {
    queue_.note(apps_->all()[0], {kind, channel, std::string(json)}, now_);
  }
  std::vector<WebhookDelivery> due() { return queue_.take_due(*apps_, now_, 42); }

  std::shared_ptr<AppTable> apps_;
  Instant now_{seconds(100)};
  WebhookQueue queue_;
};

TEST_F(WebhookQueueTest, BundlesWhatHappenedForEachHookThatWantsIt) {
  note(WebhookEvent::kChannelOccupied, R"({"name":"channel_occupied"})");
  note(WebhookEvent::kClientEvent, R"({"name":"client_event"})");
  const auto posts = due();
  ASSERT_THAT(posts, SizeIs(2));
  EXPECT_EQ(posts[0].url, "http://a/");
  EXPECT_EQ(posts[0].body,
            R"({"time_ms":42,"events":[{"name":"channel_occupied"},{"name":"client_event"}]})");
  EXPECT_EQ(posts[0].signature, sign("secret", posts[0].body));
  EXPECT_EQ(posts[1].body, R"({"time_ms":42,"events":[{"name":"client_event"}]})");
  EXPECT_THAT(due(), SizeIs(0));
}

TEST_F(WebhookQueueTest, TellsNothingOfAChannelThatIsEmptyForAMoment) {
  note(WebhookEvent::kChannelVacated, "empty", "one");
  note(WebhookEvent::kChannelVacated, "empty too", "two");
  now_ += seconds(2);
  note(WebhookEvent::kChannelOccupied, "back", "one");
  EXPECT_THAT(due(), SizeIs(0));
  EXPECT_EQ(queue_.next_due(), now_ + seconds(1));
  now_ += seconds(1);
  const auto posts = due();
  ASSERT_THAT(posts, SizeIs(1));
  EXPECT_EQ(posts[0].body, R"({"time_ms":42,"events":[empty too]})");
}

TEST_F(WebhookQueueTest, TriesAgainLaterAndLaterUntilFiveMinutesAreOver) {
  note(WebhookEvent::kCacheMiss, "x");
  auto posts = due();
  const Instant began = now_;
  int tries = 1;
  while (true) {
    queue_.failed(std::move(posts[0]), now_);
    const Instant next = queue_.next_due();
    if (next == kNever) break;
    EXPECT_THAT(due(), SizeIs(0));
    now_ = next;
    posts = due();
    ASSERT_THAT(posts, SizeIs(1));
    ++tries;
  }
  EXPECT_LE(now_ - began, WebhookQueue::kPatience);
  EXPECT_EQ(tries, 10) << "after 1, 2, 4, 8, 16, 32 s, then every minute";
  EXPECT_EQ(queue_.figures().dropped, 1u);
  EXPECT_EQ(queue_.figures().retried, 9u);
  EXPECT_EQ(queue_.figures().waiting, 0u);
}

TEST_F(WebhookQueueTest, CountsWhatItHasNoRoomFor) {
  for (std::size_t i = 0; i < WebhookQueue::kEventsMax + 7; ++i) {
    note(WebhookEvent::kCacheMiss, "x");
  }
  EXPECT_EQ(queue_.figures().dropped, 7u);
  EXPECT_THAT(due(), SizeIs(WebhookQueue::kEventsMax / WebhookQueue::kEventsPerPost));
}

}  // namespace
}  // namespace holdfast::pusher
