#include "holdfast/peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <unordered_set>

#include "holdfast/handler.h"
#include "protocol/frame.h"
#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Tells when it dies.
struct Account {
  ~Account() {
    if (deaths != nullptr) ++*deaths;
  }
  std::string name;
  int messages = 0;
  int* deaths = nullptr;
};

class Office final : public Handler {
 public:
  Verdict upgrade(Peer& peer, const Request& request) override {
    const auto name = request.parameter("name");
    if (name == "mallory") {
      return Verdict::refuse(403, "we do not know you",
                             {{"X-Reason", "unknown"}, {"X-Bad", "a\r\nb"}, {"a b", "c"}});
    }
    if (name == "trickster") return Verdict::refuse(101, "odd");
    if (name) peer.data<Account>() = {.name = *name, .deaths = &deaths};
    return Verdict::accept(
        request.parameter("protocol").value_or(std::string(request.first_offered({"v2", "v1"}))));
  }
  void open(Peer& peer, const Request& request) override {
    const auto names = request.subprotocols();
    offered.assign(names.begin(), names.end());
    ids.push_back(peer.id());
    if (peer.find_data<Account>() != nullptr) peer.send("hello " + peer.data<Account>().name);
  }
  void message(Peer& peer, MessageKind, Bytes payload) override {
    const std::string_view text = as_text(payload);
    if (auto* account = peer.find_data<Account>()) ++account->messages;
    if (text == "leave") {
      auto* account = peer.find_data<Account>();
      peer.close(4000, "as you wish");
      if (account != nullptr) account->name += " (gone)";  // still there
      peer.send("too late");
      peer.subscribe("news");
      return;
    }
    if (text == "publish") peer.publish("news", "from a peer");
    if (text == "subscribe") peer.subscribe("news");
    if (text == "queued") {
      peer.send("12345");
      queued.push_back(peer.queued_bytes());
    }
    if (text == "address") peer.send(peer.address());
  }
  void drain(Peer& peer) override {
    queued.push_back(peer.queued_bytes());
    peer.send("more");
  }
  void close(Peer& peer, std::uint16_t code) override {
    codes.push_back(code);
    peer.subscribe("news");
    if (const auto* account = peer.find_data<Account>())
      messages_of_the_dead.push_back(account->messages);
  }

  std::uint16_t drain_code() const override { return 4200; }

  int deaths = 0;
  std::vector<PeerId> ids;
  std::vector<std::string> offered;
  std::vector<std::uint64_t> queued;
  std::vector<int> codes, messages_of_the_dead;
};

std::string sent_text(std::string_view payload) {
  return "\x81" + std::string(1, static_cast<char>(payload.size())) + std::string(payload);
}

class PeerTest : public WorkerScene {
 protected:
  PeerTest() {
    settings_.ping_interval = seconds(0);
    settings_.queue_bytes_max = 100'000;
    router_.add("/office", office_);
  }
  // The answer.
  std::string ask(int descriptor, std::string_view query, std::string_view extra = {}) {
    return come(descriptor, upgrade_request("/office?" + std::string(query), extra));
  }
  // What comes back.
  std::string say(int descriptor, std::string_view text) {
    return WorkerScene::say(descriptor, client_frame(protocol::Opcode::kText, text));
  }

  std::shared_ptr<Office> office_ = std::make_shared<Office>();
};

TEST_F(PeerTest, KeepsDataFromTheUpgradeUntilTheConnectionIsGivenBack) {
  EXPECT_THAT(ask(5, "name=ann%20lee"), HasSubstr(sent_text("hello ann lee")));
  say(5, "one");
  say(5, "two");
  EXPECT_EQ(office_->deaths, 1) << "the temporary that was assigned, no more";
  end(5);
  EXPECT_THAT(office_->messages_of_the_dead, ElementsAre(2));
  EXPECT_EQ(office_->deaths, 2);
}

TEST_F(PeerTest, DataOutlivesTheCloseThatItsOwnHandlerCalled) {
  ask(5, "name=ann");
  EXPECT_EQ(say(5, "leave"), std::string("\x88\x0d\x0f\xa0") + "as you wish");
  EXPECT_THAT(office_->codes, ElementsAre(4000));
  EXPECT_EQ(office_->deaths, 1);
  end(5);
  EXPECT_EQ(office_->deaths, 2);
  EXPECT_EQ(office_->codes.size(), 1u) << "told once";
}

TEST_F(PeerTest, DataOfThoseWhoAreStillThereEndsWithTheWorker) {
  ask(5, "name=ann");
  ask(6, "name=bob");
  worker_.reset();
  EXPECT_EQ(office_->deaths, 4) << "two temporaries, two peers";
}

TEST_F(PeerTest, APublicationPassesByTheOneThatItExcepts) {
  const auto publish = [&](std::string_view text, PeerId except) {
    worker().publish("news", MessageKind::kText, as_bytes(text), {.except = except});
  };
  for (const int descriptor : {5, 6}) {
    ask(descriptor, "");
    say(descriptor, "subscribe");
  }
  publish("a", {});
  publish("b", office_->ids[0]);
  publish("c", {});
  worker().turn();
  EXPECT_EQ(std::exchange(loop_.sent[5], {}), sent_text("a") + sent_text("c"));
  EXPECT_EQ(std::exchange(loop_.sent[6], {}), sent_text("a") + sent_text("b") + sent_text("c"));
  // Not by whoever has its descriptor later.
  end(5);
  ask(5, "");
  say(5, "subscribe");
  publish("d", office_->ids[0]);
  worker().turn();
  EXPECT_EQ(loop_.sent[5], sent_text("d"));
}

TEST_F(PeerTest, DrainsWithTheCodeOfItsPath) {
  ask(5, "");
  worker().drain();
  loop_.advance(seconds(11));
  worker().turn();
  EXPECT_THAT(loop_.sent[5], StartsWith(std::string("\x88\x16\x10\x68")));
}

TEST_F(PeerTest, OneWithoutDataHasNone) {
  EXPECT_THAT(ask(5, ""), Not(HasSubstr("hello")));
  end(5);
  EXPECT_TRUE(office_->messages_of_the_dead.empty());
}

TEST_F(PeerTest, TheNextOneWithTheSameDescriptorInheritsNothing) {
  ask(5, "name=ann");
  say(5, "leave");  // its handler tries to subscribe after the end
  end(5);
  EXPECT_THAT(ask(5, ""), Not(HasSubstr("hello")));
  worker().publish("news", MessageKind::kText, as_bytes("for nobody"));
  worker().turn();
  EXPECT_EQ(loop_.sent[5], "");
  ASSERT_EQ(office_->ids.size(), 2u);
  EXPECT_NE(office_->ids[0], office_->ids[1]);
}

TEST_F(PeerTest, AskingForAnotherTypeAborts) {
  ask(5, "name=ann");
  const PeerId id = office_->ids.front();
  EXPECT_DEATH(
      {
        post(id, [](Peer& peer) { peer.data<int>() = 1; });
        worker().turn();
      },
      "type that it was first asked for");
}

TEST_F(PeerTest, IsReachedByItsIdUntilItIsGone) {
  ask(5, "");
  const PeerId id = office_->ids.front();
  EXPECT_EQ(id.worker, 3u);
  EXPECT_TRUE(id);
  int calls = 0;
  const auto errand = [&calls, id](Peer& peer) {
    ++calls;
    EXPECT_EQ(peer.id(), id);
    peer.send("found you");
  };
  post(id, errand);
  worker().turn();
  EXPECT_EQ(loop_.sent[5], sent_text("found you"));
  EXPECT_EQ(counters_.publications.read(), 0u) << "an errand is no publication";

  end(5);
  post(id, errand);
  worker().turn();
  ask(5, "");  // another one, in the same place
  post(id, errand);
  post(PeerId{}, errand);
  post(PeerId{4, id.descriptor, id.serial}, errand);
  post(PeerId{3, 1'000'000, id.serial}, errand);
  worker().turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(PeerTest, JoinsATopicAtOnePointOfItWhetherOrNotOthersWantIt) {
  ask(5, "");
  for (const bool others : {false, true}) {
    if (others) {
      ask(6, "");
      say(6, "subscribe");
    }
    post(office_->ids[0], [](Peer& peer) {
      peer.publish("news", "before");
      EXPECT_TRUE(peer.at_this_point_of("news", [](Peer& same) {
        same.send("joins");
        same.subscribe("news");
      }));
      peer.publish("news", "after");
    });
    worker().turn();
    worker().turn();
    EXPECT_EQ(loop_.sent[5], sent_text("joins") + sent_text("after"));
    EXPECT_EQ(loop_.sent[6], others ? sent_text("before") + sent_text("after") : "");
    post(office_->ids[0], [](Peer& peer) { peer.unsubscribe("news"); });
    worker().turn();
    loop_.sent.clear();
  }
  end(6);
  const std::uint64_t before = counters_.publications.read();
  worker().publish("news", MessageKind::kText, {});
  worker().turn();
  EXPECT_EQ(counters_.publications.read(), before) << "the worker wants the topic no longer";
}

TEST_F(PeerTest, IsToldWhereItsWorkerIsTooBusyForAPoint) {
  ask(5, "");
  bool destroyed_uncalled = false;
  post(office_->ids[0], [&](Peer& peer) {
    EXPECT_FALSE(peer.at_this_point_of("", [](Peer&) {}));
    for (int i = 0; i < 100; ++i) post(PeerId{}, [](Peer&) {});
    auto account = std::make_shared<Account>();
    const std::weak_ptr<Account> watched = account;
    EXPECT_FALSE(peer.at_this_point_of("news", [kept = std::move(account)](Peer&) { FAIL(); }));
    destroyed_uncalled = watched.expired();
  });
  worker().turn();
  worker().turn();
  EXPECT_TRUE(destroyed_uncalled);
  worker().publish("news", MessageKind::kText, {});
  worker().turn();
  EXPECT_EQ(counters_.publications.read(), 0u) << "and wants nothing of it";
}

TEST_F(PeerTest, IsNotReachedWhileItCloses) {
  ask(5, "");
  say(5, "leave");
  bool called = false;
  post(office_->ids.front(), [&called](Peer&) { called = true; });
  worker().turn();
  EXPECT_FALSE(called);
}

TEST_F(PeerTest, MayBeClosedAndSubscribedFromOutside) {
  ask(5, "");
  ask(6, "");
  post(office_->ids[0], [](Peer& peer) { peer.subscribe("news"); });
  post(office_->ids[1], [](Peer& peer) { peer.close(); });
  worker().turn();
  EXPECT_EQ(loop_.sent[6], "\x88\x02\x03\xe8");
  EXPECT_EQ(say(5, "publish"), sent_text("from a peer"));
}

TEST_F(PeerTest, IdsServeAsKeysOfAHashMap) {
  std::unordered_set<PeerId> set = {{1, 2, 3}, {1, 2, 4}, {2, 1, 3}, {1, 2, 3}};
  EXPECT_EQ(set.size(), 3u);
  EXPECT_LT((PeerId{1, 2, 3}), (PeerId{1, 2, 4}));
}

TEST_F(PeerTest, TellsWhatWaitsAndWhenItHasGoneOut) {
  ask(5, "");
  loop_.limit(5, 3);
  say(5, "queued");
  EXPECT_THAT(office_->queued, ElementsAre(7)) << "two bytes of header, five of text";
  say(5, "queued");
  EXPECT_THAT(office_->queued, ElementsAre(7, 11)) << "four wait, seven more";
  loop_.limit(5, 1000);
  loop_.make_writable(5);
  worker().turn();
  EXPECT_THAT(office_->queued, ElementsAre(7, 11, 0)) << "drained";
  EXPECT_THAT(loop_.sent[5], testing::EndsWith("345" + sent_text("12345") + sent_text("more")));
}

TEST_F(PeerTest, TellsItsAddress) {
  ask(5, "");
  EXPECT_EQ(say(5, "address"), sent_text("127.0.0.1:2"));
}

TEST_F(PeerTest, OfAUnixSocketHasNoAddress) {
  sockaddr unnamed{};
  unnamed.sa_family = AF_UNIX;
  loop_.peer = net::Address::from(&unnamed, sizeof(sa_family_t));
  ask(5, "");
  EXPECT_EQ(say(5, "address"), sent_text(""));
}

TEST_F(PeerTest, IsRefusedWithStatusReasonAndTheHeadersThatCannotBreakTheAnswer) {
  const std::string answer = ask(5, "name=mallory");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Reason: unknown\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("X-Bad")));
  EXPECT_THAT(answer, Not(HasSubstr("a b")));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nwe do not know you\n"));
  EXPECT_TRUE(loop_.shut.contains(5));
  EXPECT_EQ(counters_.of(Refusal::kForbidden).read(), 1u);
  EXPECT_TRUE(office_->ids.empty()) << "never opened";
  EXPECT_THAT(ask(6, "name=trickster"), StartsWith("HTTP/1.1 500 "))
      << "no refusal may look like success";
}

TEST_F(PeerTest, GetsTheSubprotocolThatTheHandlerChoseOfItsOffer) {
  EXPECT_THAT(ask(5, "", "Sec-WebSocket-Protocol: v1, v2\r\nSec-WebSocket-Protocol: v3\r\n"),
              HasSubstr("Sec-WebSocket-Protocol: v2\r\n"));
  EXPECT_THAT(office_->offered, ElementsAre("v1", "v2", "v3"));
  EXPECT_THAT(ask(6, "", "Sec-WebSocket-Protocol: v9\r\n"),
              Not(HasSubstr("Sec-WebSocket-Protocol")));
  EXPECT_THAT(ask(7, ""), Not(HasSubstr("Sec-WebSocket-Protocol")));
}

TEST_F(PeerTest, NeverGetsASubprotocolThatItDidNotOffer) {
  const std::string answer = ask(5, "protocol=v7", "Sec-WebSocket-Protocol: v1\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(answer, Not(HasSubstr("Sec-WebSocket-Protocol")));
  const std::string longest(400, 'x');
  EXPECT_THAT(ask(6, "protocol=" + longest, "Sec-WebSocket-Protocol: " + longest + "\r\n"),
              Not(HasSubstr("Sec-WebSocket-Protocol")));
}

TEST_F(PeerTest, IsAnswered400ForAnOfferThatIsNoListOfTokens) {
  EXPECT_THAT(ask(5, "", "Sec-WebSocket-Protocol: a b\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(PeerTest, IsLetInByItsOrigin) {
  settings_.origins = {protocol::OriginPattern::parse("https://example.com").value(),
                       protocol::OriginPattern::parse("https://*.example.org").value()};
  EXPECT_THAT(ask(5, "", "Origin: https://example.com\r\n"), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(ask(6, "", "Origin: https://www.example.org\r\n"), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(ask(7, ""), StartsWith("HTTP/1.1 101 ")) << "no browser";
  const std::string answer = ask(8, "", "Origin: https://example.net\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(answer, HasSubstr("origin"));
  EXPECT_EQ(counters_.of(Refusal::kForbidden).read(), 1u);
}

class Query final : public Request {
 public:
  explicit Query(std::string_view query) : query_(query) {}
  std::string_view method() const override { return "GET"; }
  std::string_view path() const override { return "/"; }
  std::string_view query() const override { return query_; }
  std::optional<std::string_view> header(std::string_view) const override { return std::nullopt; }
  Bytes body() const override { return {}; }
  std::string remote_address() const override { return "127.0.0.1"; }
  bool from_loopback() const override { return true; }
  std::vector<std::string_view> subprotocols() const override { return {}; }

 private:
  std::string_view query_;
};

TEST(RequestTest, ReadsParametersOfTheQuery) {
  EXPECT_EQ(Query("a=1&b=2").parameter("b"), "2");
  EXPECT_EQ(Query("a=1&a=2").parameter("a"), "1");
  EXPECT_EQ(Query("t%6Fken=x%2By+z%").parameter("token"), "x+y z%");
  EXPECT_EQ(Query("a=%zz%4").parameter("a"), "%zz%4");
  EXPECT_EQ(Query("a&b==").parameter("a"), "");
  EXPECT_EQ(Query("a&b==").parameter("b"), "=");
  EXPECT_EQ(Query("ab=1").parameter("a"), std::nullopt);
  EXPECT_EQ(Query("&&").parameter("a"), std::nullopt);
  EXPECT_EQ(Query("").parameter("a"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::server
