#include "load/outbox.h"

#include <gtest/gtest.h>

#include <cstring>

#include "client/fake_loop.h"

namespace holdfast::load {
namespace {

class OutboxTest : public testing::Test {
 protected:
  net::Descriptor open() { return *loop_.connect(std::nullopt, net::Address::ipv4(1, 1)); }
  void send(net::Descriptor descriptor, std::string_view text) {
    const MutableBytes room = outbox_.room(text.size());
    std::memcpy(room.data(), text.data(), text.size());
    outbox_.send(descriptor, room);
  }

  client::FakeLoop loop_;
  Outbox outbox_{loop_};
};

TEST_F(OutboxTest, SendsWithTheFlush) {
  const auto peer = open();
  send(peer, "hello");
  EXPECT_EQ(loop_.sent[peer], "");
  EXPECT_TRUE(outbox_.flush().empty());
  EXPECT_EQ(loop_.sent[peer], "hello");
}

TEST_F(OutboxTest, KeepsTheRestOfAFullSocketAndItsOrder) {
  const auto peer = open();
  loop_.room[peer] = 3;
  send(peer, "abcde");
  send(peer, "fg");
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], "abc");
  EXPECT_TRUE(loop_.wants_writable.contains(peer));
  send(peer, "hi");
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], "abc");

  loop_.room[peer] = 4;
  outbox_.on_writable(peer);
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], "abcdefg");

  loop_.room.erase(peer);
  outbox_.on_writable(peer);
  send(peer, "jk");
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], "abcdefghijk");
}

TEST_F(OutboxTest, SaysWhenASocketHasEnough) {
  const auto peer = open();
  loop_.room[peer] = 0;
  send(peer, std::string(Outbox::kWaitingBytesMax, 'x'));
  EXPECT_TRUE(outbox_.can_take(peer));
  outbox_.flush();
  EXPECT_FALSE(outbox_.can_take(peer));
  EXPECT_TRUE(outbox_.can_take(peer + 1));
}

TEST_F(OutboxTest, ForgetsWhatWaitedForAConnectionThatCloses) {
  const auto peer = open();
  loop_.room[peer] = 0;
  send(peer, "abc");
  outbox_.flush();
  outbox_.forget(peer);
  loop_.room.erase(peer);
  outbox_.on_writable(peer);
  send(peer, "new");
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], "new");
}

TEST_F(OutboxTest, KeepsNothingOfAConnectionThatClosesInTheSameTurn) {
  const auto peer = open();
  loop_.room[peer] = 1;
  send(peer, "goodbye");
  outbox_.forget(peer);
  loop_.close(peer);
  outbox_.flush();
  EXPECT_FALSE(loop_.wants_writable.contains(peer));
}

TEST_F(OutboxTest, TellsWhoseSendFailed) {
  const auto peer = open();
  loop_.flush_error = ECONNRESET;
  send(peer, "abc");
  const auto failed = outbox_.flush();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].descriptor, peer);
  EXPECT_EQ(failed[0].error, ECONNRESET);
}

TEST_F(OutboxTest, GivesRoomForSmallAndLargeThatStaysInPlace) {
  const auto peer = open();
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string text(i % 500 == 0 ? 100'000 : 300, static_cast<char>('a' + i % 26));
    send(peer, text);
    expected += text;
  }
  EXPECT_FALSE(outbox_.full());
  outbox_.flush();
  EXPECT_EQ(loop_.sent[peer], expected);
}

}  // namespace
}  // namespace holdfast::load
