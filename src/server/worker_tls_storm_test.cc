// Handshakes that have to wait, stall, or meet the end of the server, without a kernel.

#include "server/worker_tls_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;

class WorkerTlsStorm : public WorkerTlsScene, public testing::WithParamInterface<bool> {
 protected:
  WorkerTlsStorm() : WorkerTlsScene(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Tls, WorkerTlsStorm, testing::Values(true, false));

TEST_P(WorkerTlsStorm, LetsAStormWaitAndEstablishedPeersGoFirst) {
  open(6);
  clients_[6]->write(frame("still here"));
  for (int descriptor = 100; descriptor < 700; ++descriptor) {
    connect(descriptor);
    give(descriptor);
  }
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6).substr(2), "still here");
  EXPECT_GT(counters_.tls_waited.read(), 500u);
  // One of those that wait leaves; the others come in.
  loop_.end(699);
  for (int turn = 0; turn < 100; ++turn) {
    worker_->turn();
    for (int descriptor = 100; descriptor < 699; ++descriptor) {
      if (loop_.sent[descriptor].empty()) continue;
      take(descriptor);
      give(descriptor);
    }
  }
  EXPECT_EQ(counters_.tls_established.read(), 600u);
  EXPECT_EQ(loop_.closed.count(699), 1u);
}

TEST_P(WorkerTlsStorm, LetsOldVersionsInAsLongAsOpenSslMayHoldMore) {
  TlsSource old(context(true, false, true));
  worker_->add_listener(kListener + 1, {.tls = &old});
  listener_ = kListener + 1;
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  open(6);
  open(7);
  EXPECT_EQ(counters_.tls_held.read(), 2u);
  SslEnd& third = connect(8);
  give(8);
  worker_->turn();
  ERR_clear_error();
  take(8);
  EXPECT_FALSE(third.is_done());
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  ERR_clear_error();
  EXPECT_EQ(counters_.tls_old_refused.read(), 1u);
  // One that leaves makes room; and who speaks TLS 1.3 needs none.
  loop_.end(6);
  worker_->turn();
  EXPECT_EQ(counters_.tls_held.read(), 1u);
  open(9);
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), 0) == 1);
  open(10);
  // Three that begin while there is room for one.
  loop_.end(7);
  worker_->turn();
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  for (const int descriptor : {11, 12, 13}) connect(descriptor);
  for (int i = 0; i < 3; ++i) {
    for (const int descriptor : {11, 12, 13}) {
      give(descriptor);
      worker_->turn();
      take(descriptor);
    }
  }
  EXPECT_EQ(counters_.tls_old_refused.read(), 3u);
  EXPECT_EQ(loop_.shut.count(11) + loop_.shut.count(12) + loop_.shut.count(13), 2u);
  worker_.reset();  // before what it was given
}

TEST_P(WorkerTlsStorm, DropsAHandshakeThatTakesTooLong) {
  connect(6);
  give(6);
  worker_->turn();
  loop_.advance(seconds(11));
  worker_->turn();
  EXPECT_EQ(loop_.shut.count(6), 1u);
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 1u);
}

// What must not be sealed: it comes before anything was agreed.
std::string alert(protocol::TlsAlert reason) {
  return std::string("\x15\3\3\0\2\2", 6) + static_cast<char>(reason);
}
constexpr int kAtOnce = 512;  // handshakes under way

// So many say it and nothing more.
void fill(FakeLoop& loop, Worker& worker, std::string_view word) {
  for (int descriptor = 100; descriptor < 100 + kAtOnce; ++descriptor) {
    loop.accept(descriptor, kListener);
    loop.receive(descriptor, word);
  }
  for (int turn = 0; turn < kAtOnce / 24 + 2; ++turn) worker.turn();
}

TEST_P(WorkerTlsStorm, SparesItselfTheHandshakesOfThoseThatAreOverALimit) {
  constexpr std::uint64_t kTold = 16;  // in a second
  admission_.emplace(AdmissionLimits{1500, 0, 1});
  const auto come = [&](int first) {
    for (int descriptor = first; descriptor < first + 100; ++descriptor) {
      connect(descriptor);
      give(descriptor);
    }
    for (int turn = 0; turn < 5; ++turn) {
      worker_->turn();
      for (int descriptor = first; descriptor < first + 100; ++descriptor) {
        if (loop_.shut.contains(descriptor) || loop_.sent[descriptor].empty()) continue;
        take(descriptor);
        give(descriptor);
      }
    }
  };
  come(100);
  const std::uint64_t established = counters_.tls_established.read();
  EXPECT_LE(established, 1 + kTold);
  EXPECT_GT(established, 1u) << "some are told why";
  EXPECT_EQ(counters_.of(Refusal::kRate).read(), 99u);
  EXPECT_EQ(counters_.tls_failed.read(), 100 - established);
  EXPECT_EQ(loop_.sent[199], alert(protocol::TlsAlert::kInternalError));
  EXPECT_EQ(loop_.shut.size(), 100 - established);
  clients_[101]->write(upgrade_request("/echo"));
  give(101);
  worker_->turn();
  EXPECT_EQ(take(101).substr(0, 12), "HTTP/1.1 503");
  come(300);
  EXPECT_EQ(counters_.tls_established.read(), established) << "none more in the same second";
  loop_.advance(seconds(1));
  come(500);
  EXPECT_EQ(counters_.tls_established.read(), 2 * established);
}

TEST_P(WorkerTlsStorm, TellsNobodyThatIsOverALimitWhileOthersWaitOrPlacesAreFew) {
  SslEnd& silent = connect(99);
  const auto hello = silent.output();
  for (int descriptor = 100; descriptor < 164; ++descriptor) {
    loop_.accept(descriptor, kListener);
    loop_.receive(descriptor, as_text(hello));
  }
  for (int turn = 0; turn < 4; ++turn) worker_->turn();
  admission_.emplace(AdmissionLimits{1500, 0, 1});
  open(6);
  connect(7);
  give(7);
  worker_->turn();
  EXPECT_EQ(loop_.sent[7], alert(protocol::TlsAlert::kInternalError));
}

// One byte begins a handshake; the rest of the hello is what costs.
TEST_P(WorkerTlsStorm, GoesOnWithNoMoreHandshakesInATurnThanItBegins) {
  constexpr int kMany = 300, kInATurn = 24;
  open(6);
  std::map<int, std::vector<std::byte>> hellos;
  for (int descriptor = 100; descriptor < 100 + kMany; ++descriptor) {
    hellos[descriptor] = connect(descriptor).output();
    loop_.receive(descriptor, as_text(Bytes(hellos[descriptor]).first(1)));
  }
  for (int turn = 0; turn < kMany / kInATurn + 2; ++turn) worker_->turn();
  for (const auto& [descriptor, hello] : hellos) {
    // In two pieces, which must stay in their order.
    loop_.receive(descriptor, as_text(Bytes(hello).subspan(1, 50)));
    loop_.receive(descriptor, as_text(Bytes(hello).subspan(51)));
  }
  clients_[6]->write(frame("there?"));
  give(6);
  int answered = 0;
  const auto count = [&] {
    const int before = std::exchange(answered, 0);
    for (const auto& [descriptor, hello] : hellos) answered += !loop_.sent[descriptor].empty();
    return answered - before;
  };
  worker_->turn();
  EXPECT_EQ(take(6), "\x82\x06there?");
  EXPECT_LE(count(), kInATurn);
  loop_.end(100 + kMany - 1);  // it does not wait for its turn
  while (answered < kMany - 1) {
    ASSERT_LE(worker_->next_due(), loop_.now());
    worker_->turn();
    const int more = count();
    ASSERT_GT(more, 0);
    EXPECT_LE(more, kInATurn);
  }
  for (const auto& [descriptor, hello] : hellos) {
    if (descriptor < 100 + kMany - 1) take(descriptor);
  }
  for (int descriptor = 100; descriptor < 100 + kMany - 1; ++descriptor) give(descriptor);
  for (int turn = 0; turn < kMany / kInATurn + 2; ++turn) worker_->turn();
  EXPECT_EQ(counters_.tls_established.read(), static_cast<std::uint64_t>(kMany));
  EXPECT_EQ(counters_.tls_failed.read(), 0u);
}

TEST_P(WorkerTlsStorm, LetsThoseGoThatDoNotAnswerAsSoonAsOthersWait) {
  SslEnd& silent = connect(99);
  const auto hello = silent.output();
  fill(loop_, *worker_, as_text(hello));
  EXPECT_NE(loop_.sent[100 + kAtOnce - 1], "") << "all of them are under way";
  loop_.advance(seconds(3));
  worker_->turn();
  EXPECT_EQ(counters_.tls_failed.read(), 0u) << "nobody waits, they have their time";
  connect(6);
  give(6);
  worker_->turn();
  go_on(6);
  EXPECT_EQ(counters_.tls_failed.read(), 1u);
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 1u);
  EXPECT_EQ(loop_.shut, std::set<int>{100});
}

TEST_P(WorkerTlsStorm, GivesEachItsTimeToAnswerAndWakesWhenItIsOver) {
  SslEnd& silent = connect(99);
  fill(loop_, *worker_, as_text(silent.output()));
  connect(6);
  give(6);
  worker_->turn();
  EXPECT_EQ(loop_.sent[6], "");
  EXPECT_EQ(worker_->next_due(), loop_.now() + seconds(2));
  loop_.advance(milliseconds(1900));
  worker_->turn();
  EXPECT_EQ(loop_.sent[6], "");
  loop_.advance(milliseconds(100));
  worker_->turn();
  EXPECT_NE(loop_.sent[6], "");
}

TEST_P(WorkerTlsStorm, KeepsNoPlaceForOnesThatFailedAndDoNotLeave) {
  fill(loop_, *worker_, std::string("\x16\3\1\0\4\2\0\0\0", 9));  // no ClientHello
  EXPECT_EQ(counters_.tls_failed.read(), static_cast<std::uint64_t>(kAtOnce));
  EXPECT_EQ(loop_.closed.size(), 0u);
  open(6);
}

TEST_P(WorkerTlsStorm, AlertsWhoeverWaitsTooLongOrStopsBeforeTheTermsAreAgreedOn) {
  const std::string half(as_text(connect(99).output()).substr(0, 100));
  fill(loop_, *worker_, half);
  connect(6);
  give(6);
  worker_->turn();
  loop_.advance(seconds(11));  // for all of them at once
  worker_->turn();
  EXPECT_EQ(loop_.sent[6], alert(protocol::TlsAlert::kInternalError)) << "it waited in vain";
  EXPECT_EQ(loop_.sent[100], alert(protocol::TlsAlert::kHandshakeFailure));
  EXPECT_EQ(loop_.sent[99], "") << "it never spoke";
  EXPECT_EQ(loop_.shut.count(6) + loop_.shut.count(99) + loop_.shut.count(100), 3u);
  EXPECT_EQ(counters_.tls_failed.read(), kAtOnce + 1u);
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), kAtOnce + 2u);
}

TEST_P(WorkerTlsStorm, AlertsWhoeverSaysTooMuchBeforeItsTurn) {
  fill(loop_, *worker_, as_text(connect(99).output()));
  loop_.accept(6, kListener);
  for (int i = 0; i < 17; ++i) loop_.receive(6, std::string(1000, 'x'));
  worker_->turn();
  EXPECT_EQ(loop_.sent[6], alert(protocol::TlsAlert::kHandshakeFailure));
  EXPECT_EQ(loop_.shut.count(6), 1u);
  EXPECT_EQ(counters_.tls_failed.read(), 1u);
}

TEST_P(WorkerTlsStorm, AlertsInTheClearOnlyWhereNoKeysAreInUseYet) {
  TlsSource old(context(true, false, true));
  worker_->add_listener(kListener + 1, {.tls = &old});
  listener_ = kListener + 1;
  connect(7);
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  connect(6);
  for (const int descriptor : {6, 7}) give(descriptor);
  worker_->turn();
  const std::string flight = loop_.sent[7];
  EXPECT_NE(flight, "");
  loop_.advance(seconds(11));
  worker_->turn();
  EXPECT_TRUE(loop_.sent[6].ends_with(alert(protocol::TlsAlert::kHandshakeFailure)));
  EXPECT_EQ(loop_.sent[7], flight) << "RFC 8446 5: its client takes nothing any more in the clear";
  EXPECT_EQ(counters_.tls_failed.read(), 2u);
  worker_.reset();  // before what it was given
}

TEST_P(WorkerTlsStorm, LetsHandshakesEndThatADrainMeets) {
  connect(6);
  connect(7);
  give(7);
  worker_->turn();
  worker_->drain();
  EXPECT_EQ(loop_.closed.count(kListener), 1u);
  take(7);
  go_on(6);
  go_on(7);
  // Accepted, and told only now: not served without TLS, whatever it says.
  loop_.accept(8, kListener);
  loop_.receive(8, upgrade_request("/echo"));
  worker_->turn();
  EXPECT_EQ(loop_.reset_ones.count(8), 1u);
  EXPECT_EQ(loop_.sent[8], "");
  EXPECT_EQ(counters_.of(Refusal::kDraining).read(), 1u);
  EXPECT_EQ(counters_.descriptors.read(), 2u);
}

}  // namespace
}  // namespace holdfast::server
