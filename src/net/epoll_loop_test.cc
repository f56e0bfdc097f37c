#include "net/loop.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "net/clock.h"
#include "net/descriptor_table.h"

namespace holdfast::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Both ends of every connection on one loop, over loopback, once with each transport.
class EpollLoop : public testing::TestWithParam<Io> {
 protected:
  void SetUp() override {
    LoopOptions options;
    options.io = GetParam();
    options.emergency_answer = as_bytes("full");
    options.receive_bytes_per_turn_max = 128 * 1024;
    waker_ = Waker::create().value();
    loop_ = make_loop(options, waker_.get()).value();
    listener_ = loop_->listen(Address::parse("127.0.0.7:0").value(), {}).value();
    address_ = loop_->local_address(listener_).value();
  }

  // Turns until `done`, at most 5 seconds; keeps what arrived.
  void run(const std::function<bool()>& done) {
    const Instant end = monotonic_now() + seconds(5);
    while (!done() && monotonic_now() < end) {
      loop_->wait(Instant(), monotonic_now() + milliseconds(20));
      while (auto completion = loop_->next()) take(*completion);
      for (const Unsent& unsent : loop_->flush()) unsent_.push_back(unsent);
    }
    ASSERT_TRUE(done());
  }

  void take(const Completion& completion) {
    switch (completion.kind) {
      case Completion::Kind::kAccepted:
        accepted_.push_back(completion.descriptor);
        break;
      case Completion::Kind::kAcceptFailed:
        accept_errors_.push_back(completion.error);
        break;
      case Completion::Kind::kConnected:
        connected_[completion.descriptor] = completion.error;
        break;
      case Completion::Kind::kReceived:
        received_[completion.descriptor] += as_text(completion.bytes);
        if (close_on_bytes_) loop_->close(completion.descriptor);
        break;
      case Completion::Kind::kClosed:
        closed_[completion.descriptor] = completion.error;
        break;
      case Completion::Kind::kWritable:
        ++writable_[completion.descriptor];
        break;
      case Completion::Kind::kWoken:
        ++woken_;
        break;
    }
  }

  // The client's descriptor and the server's.
  std::pair<Descriptor, Descriptor> pair() {
    const std::size_t before = accepted_.size();
    const Descriptor client = loop_->connect(std::nullopt, address_).value();
    run([&] { return connected_.contains(client) && accepted_.size() > before; });
    EXPECT_EQ(connected_[client], 0);
    return {client, accepted_.back()};
  }

  std::unique_ptr<Waker> waker_;
  std::unique_ptr<Loop> loop_;
  Descriptor listener_ = -1;
  Address address_;
  std::vector<Descriptor> accepted_;
  std::vector<int> accept_errors_;
  std::map<Descriptor, int> connected_, closed_, writable_;
  std::map<Descriptor, std::string> received_;
  std::vector<Unsent> unsent_;
  int woken_ = 0;
  bool close_on_bytes_ = false;
};

INSTANTIATE_TEST_SUITE_P(Io, EpollLoop, testing::Values(Io::kUring, Io::kEpoll),
                         [](const auto& kind) {
                           return kind.param == Io::kUring ? "uring" : "epoll";
                         });

TEST_P(EpollLoop, GivesAcceptedConnectionsTheListenersUserTimeout) {
  ListenOptions options;
  options.user_timeout = seconds(7);
  listener_ = loop_->listen(Address::parse("127.0.0.7:0").value(), options).value();
  address_ = loop_->local_address(listener_).value();
  const auto [client, server] = pair();
  unsigned timeout = 0;
  socklen_t length = sizeof timeout;
  ASSERT_EQ(getsockopt(server, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &length), 0);
  EXPECT_EQ(timeout, 7000u);
}

TEST_P(EpollLoop, TakesIpv4PeersOnAnIpv6WildcardUnlessToldOtherwise) {
  const auto reached = [&](bool ipv6_only) {
    ListenOptions options;
    options.ipv6_only = ipv6_only;
    const Descriptor listener = loop_->listen(Address::parse("[::]:0").value(), options).value();
    const auto port = loop_->local_address(listener)->port();
    const Descriptor client = loop_->connect(std::nullopt, Address::ipv4(0x7F000001, port)).value();
    run([&] { return connected_.contains(client); });
    const bool is_connected = connected_[client] == 0;
    connected_.erase(client);
    if (is_connected) {
      run([&] { return !accepted_.empty(); });
      EXPECT_EQ(loop_->peer_address(accepted_.back())->ip(), IpAddress::parse("127.0.0.1"));
    }
    loop_->close(client);
    loop_->flush();
    return is_connected;
  };
  EXPECT_TRUE(reached(false));
  EXPECT_FALSE(reached(true));
}

TEST_P(EpollLoop, SleepsForLessThanAMillisecondWhenTold) {
  // The quickest of some: a busy machine may take its time, but a wait that counts in milliseconds
  // cannot be short.
  Duration shortest = seconds(1);
  for (int i = 0; i < 50; ++i) {
    const Instant before = monotonic_now();
    loop_->wait(Instant(), before + std::chrono::microseconds(200));
    while (loop_->next()) {
    }
    loop_->flush();
    shortest = std::min(shortest, monotonic_now() - before);
  }
  EXPECT_LT(shortest, std::chrono::microseconds(900));
}

TEST_P(EpollLoop, GathersForLessThanAMillisecondWhenTold) {
  Duration shortest = seconds(1);
  for (int i = 0; i < 50; ++i) {
    const Instant before = monotonic_now();
    loop_->wait(before + std::chrono::microseconds(200), before + std::chrono::microseconds(200));
    while (loop_->next()) {
    }
    loop_->flush();
    shortest = std::min(shortest, monotonic_now() - before);
  }
  EXPECT_LT(shortest, std::chrono::microseconds(900));
}

TEST_P(EpollLoop, CarriesBytesBothWays) {
  const auto [client, server] = pair();
  loop_->send(client, as_bytes("ping"), 1);
  run([&, s = server] { return received_[s] == "ping"; });
  loop_->send(server, as_bytes("pong"), 2);
  run([&, c = client] { return received_[c] == "pong"; });
  EXPECT_TRUE(unsent_.empty());
}

TEST_P(EpollLoop, SendsSeveralPiecesInTheirOrder) {
  const auto [client, server] = pair();
  const std::array pieces = {as_bytes("one "), as_bytes("two "), as_bytes("three")};
  loop_->send(client, pieces, 0);
  loop_->send(client, as_bytes(" four"), 0);
  run([&, s = server] { return received_[s] == "one two three four"; });
}

TEST_P(EpollLoop, ReadsOnWhatDoesNotFitASlot) {
  const auto [client, server] = pair();
  for (const std::size_t size : {511, 512, 513, 4095, 4096, 4097, 5000, 70'000, 400'000}) {
    received_.clear();
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    std::size_t sent = 0;
    while (sent < size) {
      unsent_.clear();
      loop_->send(client, as_bytes(std::string_view(text).substr(sent)), 0);
      run([&, s = server] { return !received_[s].empty(); });
      sent = unsent_.empty() ? size : sent + unsent_.front().taken;
      run([&, s = server] { return received_[s].size() == sent; });
    }
    EXPECT_EQ(received_[server], text) << size;
  }
}

TEST_P(EpollLoop, ReportsTheEndOfAPeerAfterItsLastBytes) {
  const auto [client, server] = pair();
  loop_->send(client, as_bytes("last words"), 0);
  loop_->close(client);
  run([&, s = server] { return closed_.contains(s); });
  EXPECT_EQ(closed_[server], 0);
  EXPECT_EQ(received_[server], "last words");
}

TEST_P(EpollLoop, ReportsAResetAsAnError) {
  const auto [client, server] = pair();
  loop_->reset(client);
  run([&, s = server] { return closed_.contains(s); });
  EXPECT_EQ(closed_[server], ECONNRESET);
}

TEST_P(EpollLoop, ReportsARefusedConnect) {
  loop_->close(listener_);
  loop_->flush();
  const auto client = loop_->connect(std::nullopt, address_);
  if (!client) {
    EXPECT_EQ(client.error().code, ECONNREFUSED);
    return;
  }
  run([&] { return connected_.contains(*client); });
  EXPECT_EQ(connected_[*client], ECONNREFUSED);
}

TEST_P(EpollLoop, TellsWhatAFullSocketDidNotTakeAndWhenThereIsRoom) {
  // More than both ends' buffers may grow to (tcp_wmem, tcp_rmem).
  const std::string text(64'000'000, 'x');
  // A raw socket that nobody reads.
  const int reader = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(reader, address_.get(), address_.length()), 0);
  run([&] { return accepted_.size() == 1; });
  const Descriptor writer = accepted_.back();
  loop_->send(writer, as_bytes(text), 7);
  loop_->send(writer, as_bytes("must not overtake"), 8);
  run([&] { return unsent_.size() == 2; });
  ASSERT_EQ(unsent_.size(), 2u);
  EXPECT_EQ(unsent_[0].tag, 7u);
  EXPECT_EQ(unsent_[0].error, EAGAIN);
  EXPECT_GT(unsent_[0].taken, 0u);
  EXPECT_LT(unsent_[0].taken, text.size());
  EXPECT_EQ(unsent_[1].tag, 8u);
  EXPECT_EQ(unsent_[1].taken, 0u);
  loop_->want_writable(writer);
  std::string sink(text.size(), 0);
  std::size_t read = 0;
  while (read < unsent_[0].taken) {
    const ssize_t got = ::recv(reader, sink.data(), sink.size(), 0);
    ASSERT_GT(got, 0);
    read += static_cast<std::size_t>(got);
  }
  run([&] { return writable_[writer] == 1; });
  EXPECT_EQ(read, unsent_[0].taken);
  ::close(reader);
}

TEST_P(EpollLoop, DeliversNothingOfADescriptorClosedInTheSameTurn) {
  close_on_bytes_ = true;
  const auto [client, server] = pair();
  const std::string text(100'000, 'x');
  loop_->send(client, as_bytes(text), 0);
  run([&, s = server] { return !received_[s].empty(); });
  const std::size_t first = received_[server].size();
  run([&, c = client] { return closed_.contains(c); });
  EXPECT_EQ(received_[server].size(), first);
  EXPECT_FALSE(closed_.contains(server));
}

TEST_P(EpollLoop, IsWokenFromAnotherThreadEvenWhileItGathers) {
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(20));
    waker_->wake();
    waker_->wake();
  });
  const Instant start = monotonic_now();
  loop_->wait(start + seconds(5), start + seconds(5));
  while (auto completion = loop_->next()) take(*completion);
  other.join();
  EXPECT_EQ(woken_, 1);
  EXPECT_LT(monotonic_now() - start, seconds(2));
}

TEST_P(EpollLoop, GathersArrivalsUntilItMayWake) {
  const auto [client, server] = pair();
  loop_->send(client, as_bytes("early"), 0);
  loop_->flush();
  const Instant start = monotonic_now();
  loop_->wait(start + milliseconds(50), start + seconds(5));
  EXPECT_GE(monotonic_now() - start, milliseconds(45));
  while (auto completion = loop_->next()) take(*completion);
  loop_->flush();
  EXPECT_EQ(received_[server], "early");
}

TEST_P(EpollLoop, AnswersAndRestsWhenDescriptorsRunOut) {
  // On a thread with a table of its own, so that the low limit meets nobody else's descriptors. The
  // limit is the process's, but it is only looked at when a descriptor is made.
  std::vector<int> fillers;
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  while (true) {
    const int filler = ::dup(client);
    if (filler < 0) break;
    fillers.push_back(filler);
  }
  ASSERT_EQ(errno, EMFILE);
  ASSERT_EQ(::connect(client, address_.get(), address_.length()), 0);
  run([&] { return !accept_errors_.empty(); });
  EXPECT_EQ(accept_errors_.front(), EMFILE);
  char answer[16] = "";
  EXPECT_EQ(::recv(client, answer, sizeof answer, 0), 4);
  EXPECT_EQ(std::string(answer), "full");
  for (const int filler : fillers) ::close(filler);
  // After the rest, all is as before.
  pair();
}

TEST_P(EpollLoop, GivesTheEmergencyAnswerOfTheListener) {
  static constexpr std::string_view kAnother = "sorry";
  loop_->answer_emergencies_with(listener_, as_bytes(kAnother));
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  std::vector<int> fillers;
  for (int filler; (filler = ::dup(client)) >= 0;) fillers.push_back(filler);
  ASSERT_EQ(errno, EMFILE);
  ASSERT_EQ(::connect(client, address_.get(), address_.length()), 0);
  run([&] { return !accept_errors_.empty(); });
  char answer[16] = "";
  EXPECT_EQ(::recv(client, answer, sizeof answer, 0), 5);
  EXPECT_EQ(std::string(answer), kAnother);
  for (const int filler : fillers) ::close(filler);
  ::close(client);
}

}  // namespace
}  // namespace holdfast::net
