// Clients of one real worker, over a loop without a kernel: what they hear, in which order.

#include "pusher/socket_handler.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/memory_broker.h"
#include "protocol/frame.h"
#include "pusher/signature.h"
#include "server/fake_loop.h"
#include "server/worker.h"

namespace holdfast::pusher {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

constexpr std::string_view kSecret = "secret";
constexpr std::string_view kRoom = "presence-room";

std::string masked_frame(std::string payload) {
  std::byte header[protocol::kFrameHeaderBytesMax];
  const protocol::MaskKey mask{};  // of zeros: it changes nothing
  const std::size_t size =
      protocol::write_frame_header(header, protocol::Opcode::kText, true, payload.size(), &mask);
  return std::string(as_text({header, size})) + payload;
}

std::vector<std::string> messages_in(std::string_view frames) {
  std::vector<std::string> all;
  while (frames.size() >= 2) {
    std::size_t head = 2, size = static_cast<unsigned char>(frames[1]);
    if (size == 126) {
      head = 4;
      size = static_cast<std::size_t>(static_cast<unsigned char>(frames[2]) << 8 |
                                      static_cast<unsigned char>(frames[3]));
    }
    if (frames[0] == '\x81') all.emplace_back(frames.substr(head, size));
    frames.remove_prefix(std::min(frames.size(), head + size));
  }
  return all;
}

class SocketHandlerTest : public testing::Test {
 protected:
  SocketHandlerTest() {
    server::WorkerSettings& settings = settings_;
    settings.handshake_timeout = settings.close_timeout = settings.drain_time = seconds(10);
    settings.queue_bytes_max = 100'000;
    settings.session.message_bytes_max = 10'000;
    settings.descriptors = 64;
    settings.connections_max = 60;
    router_.add(std::string(SocketHandler::kPath), std::make_shared<SocketHandler>(hub_));
    worker_ = std::make_unique<server::Worker>(settings, router_, admission_, loop_, *mailbox_,
                                               *broker_, 0, counters_);
    worker_->add_listener(1000);
    publisher_.worker = worker_.get();
  }

  static std::shared_ptr<AppTable> table() {
    App app{.id = "1", .key = "key", .secret = std::string(kSecret)};
    app.subscription_counts = true;
    app.history.push_back({.prefix = "presence-kept"});
    app.history.push_back({.prefix = "kept"});
    return *AppTable::make({app});
  }

  void connect(int descriptor) {
    loop_.accept(descriptor);
    loop_.receive(descriptor,
                  "GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    worker_->turn();
    const std::string answer = std::exchange(loop_.sent[descriptor], {});
    const auto established = messages_in(answer.substr(answer.find("\r\n\r\n") + 4)).at(0);
    const std::string_view mark = R"(socket_id\":\")";
    const std::size_t begin = established.find(mark) + mark.size();
    sockets_[descriptor] = established.substr(begin, established.find('\\', begin) - begin);
  }
  void say(int descriptor, const std::string& message) {
    loop_.receive(descriptor, masked_frame(message));
  }
  // Without a turn of the worker.
  void subscribe(int descriptor, std::string_view channel, std::string_view user = {},
                 std::string_view recover = {}) {
    std::string fields = fmt::format(R"("channel":"{}")", channel);
    if (!user.empty()) {
      const std::string data = fmt::format(R"({{"user_id":"{}"}})", user);
      const std::string text = fmt::format("{}:{}:{}", sockets_[descriptor], channel, data);
      fields += fmt::format(R"(,"auth":"key:{}","channel_data":"{{\"user_id\":\"{}\"}}")",
                            sign(kSecret, text), user);
    }
    if (!recover.empty()) fields += fmt::format(R"(,"recover":{})", recover);
    say(descriptor, fmt::format(R"({{"event":"pusher:subscribe","data":{{{}}}}})", fields));
  }
  void join(int descriptor, std::string_view channel, std::string_view user = {}) {
    connect(descriptor);
    subscribe(descriptor, channel, user);
    run();
    loop_.sent[descriptor].clear();
  }
  void run() {
    for (int i = 0; i < 3; ++i) worker_->turn();
  }
  std::vector<std::string> heard(int descriptor) {
    return messages_in(std::exchange(loop_.sent[descriptor], {}));
  }
  static std::string snapshot(std::string_view users, int count) {
    std::string ids, hash;
    for (const char user : users) {
      ids += fmt::format(R"({}\"{}\")", ids.empty() ? "" : ",", user);
      hash += fmt::format(R"({}\"{}\":null)", hash.empty() ? "" : ",", user);
    }
    return fmt::format(R"({{\"presence\":{{\"ids\":[{}],\"hash\":{{{}}},\"count\":{}}})", ids, hash,
                       count);
  }
  static std::string succeeded(std::string_view channel, std::string_view data) {
    return fmt::format(
        R"({{"event":"pusher_internal:subscription_succeeded","channel":"{}","data":"{}"}})",
        channel, data);
  }
  const App& app() { return *hub_->apps()->by_id("1"); }

  // The hub is made before the worker through which it publishes.
  struct Through final : Publisher {
    server::Worker* worker = nullptr;
    using Publisher::publish;
    bool publish(std::string_view topic, MessageKind kind, Bytes payload,
                 const PublishOptions& options) override {
      return worker->publish(topic, kind, payload, options);
    }
  };

  server::WorkerSettings settings_{};
  server::FakeLoop loop_;
  server::Router router_;
  server::Admission admission_{{1'000, 0, 0}};
  server::Counters counters_;
  std::unique_ptr<net::Waker> waker_ = std::move(*net::Waker::create());
  std::unique_ptr<broker::Mailbox> mailbox_ = std::make_unique<broker::Mailbox>(*waker_, 1'000);
  std::unique_ptr<broker::MemoryBroker> broker_ =
      std::make_unique<broker::MemoryBroker>(std::vector<broker::Mailbox*>{mailbox_.get()});
  Through publisher_;
  std::shared_ptr<Hub> hub_ = std::make_shared<Hub>(
      table(), publisher_, nullptr,
      Hub::Clocks{[this] { return loop_.now(); }, [] { return std::int64_t{0}; }, 1});
  std::unique_ptr<server::Worker> worker_;
  std::map<int, std::string> sockets_;
};

// The removal of the absent lies in the mailbox while its user comes back.
TEST_F(SocketHandlerTest, AUserWhoLeavesAndReturnsInOneMomentIsThereForItself) {
  join(5, kRoom, "w");
  join(6, kRoom, "a");
  connect(7);
  loop_.sent.clear();
  loop_.end(6);
  run();
  loop_.advance(ChannelBook::kAbsence);
  hub_->tick();
  subscribe(7, kRoom, "a");
  run();
  EXPECT_THAT(heard(7), ElementsAre(succeeded(kRoom, snapshot("aw", 2) + "}")));
  const auto others = heard(5);
  ASSERT_EQ(others.size(), 2u);
  EXPECT_THAT(others[0], testing::HasSubstr("member_removed"));
  EXPECT_THAT(others[1], testing::HasSubstr("member_added"));
}

TEST_F(SocketHandlerTest, ASnapshotIsOfOneMomentAndWhatFollowsItComesAfterIt) {
  join(5, kRoom, "w");
  for (const int descriptor : {6, 7, 8}) connect(descriptor);
  loop_.sent.clear();
  for (const auto& [descriptor, user] : {std::pair(6, "a"), std::pair(7, "b"), std::pair(8, "c")})
    subscribe(descriptor, kRoom, user);
  run();
  const auto added = [](std::string_view user) {
    return fmt::format(R"({{"event":"pusher_internal:member_added","channel":"presence-room",)"
                       R"("data":"{{\"user_id\":\"{}\",\"user_info\":null}}"}})",
                       user);
  };
  EXPECT_THAT(heard(6),
              ElementsAre(succeeded(kRoom, snapshot("aw", 2) + "}"), added("b"), added("c")));
  EXPECT_THAT(heard(7), ElementsAre(succeeded(kRoom, snapshot("abw", 3) + "}"), added("c")));
  EXPECT_THAT(heard(8), ElementsAre(succeeded(kRoom, snapshot("abcw", 4) + "}")));
}

TEST_F(SocketHandlerTest, ARecoveryAndItsSnapshotAreOfOneMoment) {
  join(5, "presence-kept", "w");
  join(6, "presence-kept", "a");
  const History::Missed here =
      app().state->history.recover("presence-kept", app().history[0], 1 << 20, {}, loop_.now(), {});
  connect(7);
  connect(8);
  loop_.end(6);
  run();
  loop_.sent.clear();
  const auto event = [](int number) {
    return fmt::format(R"({{"event":"e","channel":"presence-kept","data":"{}"}})", number);
  };
  hub_->publish_event(app(), "presence-kept", event(1));
  loop_.advance(ChannelBook::kAbsence);
  hub_->tick();
  subscribe(8, "presence-kept", "b");
  subscribe(7, "presence-kept", "a",
            fmt::format(R"({{"serial":0,"epoch":"{}"}})", epoch_text(here.place.epoch)));
  worker_->turn();
  hub_->publish_event(app(), "presence-kept", event(2));
  run();
  const std::string epoch = epoch_text(here.place.epoch);
  const auto counted = [&](int number) {
    std::string text = event(number);
    text.pop_back();
    return text + fmt::format(R"(,"serial":{},"epoch":"{}"}})", number, epoch);
  };
  EXPECT_THAT(heard(7), ElementsAre(succeeded("presence-kept",
                                              snapshot("abw", 3) +
                                                  fmt::format(R"(,\"recovered\":true,\"serial\":0,)"
                                                              R"(\"epoch\":\"{}\"}})",
                                                              epoch)),
                                    counted(1), counted(2)));
}

TEST_F(SocketHandlerTest, ANewcomersPlaceIsBehindNothingThatItHears) {
  join(5, "kept");
  connect(6);
  loop_.sent.clear();
  hub_->publish_event(app(), "kept", R"({"event":"first"})");
  subscribe(6, "kept");
  worker_->turn();
  hub_->publish_event(app(), "kept", R"({"event":"second"})");
  run();
  const auto all = heard(6);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_THAT(all[0], testing::HasSubstr(R"(\"serial\":1)"));
  EXPECT_THAT(all[1], testing::HasSubstr(R"(\"subscription_count\":2)")) << "its own";
  EXPECT_THAT(all[2], testing::HasSubstr("second"));
}

TEST_F(SocketHandlerTest, TheLastEventOfACacheChannelIsHeardOnce) {
  join(5, "cache-x");
  connect(6);
  loop_.sent.clear();
  hub_->publish_event(app(), "cache-x", R"({"event":"last"})");
  subscribe(6, "cache-x");
  run();
  const auto all = heard(6);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], succeeded("cache-x", "{}"));
  EXPECT_EQ(all[1], R"({"event":"last"})");
  EXPECT_THAT(all[2], testing::HasSubstr("subscription_count"));
}

TEST_F(SocketHandlerTest, OneWhoLeavesAgainBeforeItArrivedHearsNothingOfTheChannel) {
  join(5, kRoom, "w");
  connect(6);
  loop_.sent.clear();
  const std::string unsubscribe =
      fmt::format(R"({{"event":"pusher:unsubscribe","data":{{"channel":"{}"}}}})", kRoom);
  subscribe(6, kRoom, "a");
  say(6, unsubscribe);
  run();
  EXPECT_THAT(heard(6), ElementsAre());
  subscribe(6, kRoom, "a");
  say(6, unsubscribe);
  subscribe(6, kRoom, "a");
  run();
  EXPECT_THAT(heard(6), ElementsAre(succeeded(kRoom, snapshot("aw", 2) + "}")));
}

// That one went offline lies in the mailbox, as its old page watched; that it came back does not,
// as nobody watched any more.
TEST_F(SocketHandlerTest, OneWhoWatchesIsToldNothingFromBefore) {
  const auto sign_in = [this](int descriptor) {
    const std::string_view data = R"({\"id\":\"a\",\"watchlist\":[\"a\"]})";
    const std::string text =
        text_to_sign_in(sockets_[descriptor], R"({"id":"a","watchlist":["a"]})");
    say(descriptor,
        fmt::format(R"({{"event":"pusher:signin","data":{{"auth":"key:{}","user_data":"{}"}}}})",
                    sign(kSecret, text), data));
  };
  connect(5);
  sign_in(5);
  run();
  connect(6);
  loop_.sent.clear();
  loop_.end(5);
  sign_in(6);
  run();
  const auto all = heard(6);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(all[0], testing::HasSubstr("signin_success"));
  EXPECT_THAT(all[1], testing::HasSubstr("online"));
}

TEST_F(SocketHandlerTest, OneWhoseWorkerIsTooBusyIsSentAwayAndOffTheChannel) {
  join(5, kRoom, "w");
  connect(6);
  loop_.sent.clear();
  for (int i = 0; i < 2'000; ++i) hub_->publish("1", kRoom, "{}");
  subscribe(6, kRoom, "a");
  worker_->turn();
  EXPECT_THAT(loop_.sent[6], testing::HasSubstr("\x10\x04"));  // 4100
  EXPECT_EQ(hub_->book().figures("1", kRoom)->subscriptions, 1u);
}

}  // namespace
}  // namespace holdfast::pusher
