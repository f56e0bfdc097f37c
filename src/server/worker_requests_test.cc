// What a worker answers over HTTP: pipelined requests, HEAD, expectations, without a kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/worker_scene.h"

namespace holdfast::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Answers with what it was asked.
class Mirror final : public Handler {
 public:
  std::optional<Reply> request(const Request& request, Publisher&) override {
    requests.push_back(std::string(request.method()) + " " + std::string(request.query()) + " " +
                       std::string(as_text(request.body())));
    return Reply{.body = "you said " + requests.back()};
  }
  std::vector<std::string> requests;
};

// Answers with what a test put there.
class Dictated final : public Handler {
 public:
  std::optional<Reply> request(const Request&, Publisher&) override { return reply; }
  Reply reply;
};

std::string ask(std::string_view query, std::string_view method = "GET",
                std::string_view more = {}) {
  return std::string(method) + " /page?" + std::string(query) + " HTTP/1.1\r\nHost: x\r\n" +
         std::string(more) + "\r\n";
}

class WorkerRequestsTest : public WorkerScene {
 protected:
  WorkerRequestsTest() { router_.add("/page", mirror_); }

  void come() { WorkerScene::come(5, ""); }
  std::string say(std::string_view bytes) { return WorkerScene::say(5, bytes); }

  std::shared_ptr<Mirror> mirror_ = std::make_shared<Mirror>();
};

int count_of(std::string_view text, std::string_view part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST_F(WorkerRequestsTest, AnswersPipelinedRequestsInTheirOrderInOneWrite) {
  come();
  const std::string answers = say(ask("a") + ask("b") + ask("c"));
  EXPECT_EQ(count_of(answers, "HTTP/1.1 200 "), 3);
  EXPECT_LT(answers.find("you said GET a"), answers.find("you said GET b"));
  EXPECT_LT(answers.find("you said GET b"), answers.find("you said GET c"));
  EXPECT_EQ(loop_.sends[5], 1);
  EXPECT_EQ(counters_.requests.read(), 3u);
  EXPECT_FALSE(loop_.shut.contains(5));
}

TEST_F(WorkerRequestsTest, TakesPipelinedRequestsThatAreCutAnywhere) {
  const std::string wire =
      ask("a") + ask("b", "POST", "Content-Length: 4\r\n") + "body" + upgrade_request("/page");
  for (std::size_t cut = 1; cut < wire.size(); ++cut) {
    come();
    std::string answers = say(wire.substr(0, cut));
    answers += say(wire.substr(cut));
    EXPECT_EQ(count_of(answers, "HTTP/1.1 200 "), 2) << cut;
    EXPECT_EQ(count_of(answers, "HTTP/1.1 101 "), 1) << cut;
    EXPECT_THAT(mirror_->requests, ElementsAre("GET a ", "POST b body")) << cut;
    mirror_->requests.clear();
    loop_.end(5);
    worker().turn();
  }
  EXPECT_TRUE(worker().is_empty());
}

TEST_F(WorkerRequestsTest, ReadsNothingBehindARequestThatEndsTheConnection) {
  come();
  EXPECT_EQ(count_of(say(ask("a", "GET", "Connection: close\r\n") + ask("b")), "HTTP/1.1"), 1);
  EXPECT_THAT(mirror_->requests, ElementsAre("GET a "));
  EXPECT_TRUE(loop_.shut.contains(5));
}

TEST_F(WorkerRequestsTest, ReadsNothingBehindARequestThatIsWrong) {
  come();
  const std::string answers = say(ask("a") + "GET /page HTTP/1.1\r\n\r\n" + ask("c"));
  EXPECT_EQ(count_of(answers, "HTTP/1.1 "), 2);
  EXPECT_THAT(answers, HasSubstr("HTTP/1.1 400 "));
  EXPECT_THAT(mirror_->requests, ElementsAre("GET a "));
  EXPECT_EQ(counters_.of(Refusal::kMalformed).read(), 1u);
}

TEST_F(WorkerRequestsTest, StopsWhereTheAnswersOfOneReadOverflowTheQueue) {
  come();
  std::string many;
  for (int i = 0; i < 100; ++i) many += ask("a");
  const std::string answers = say(many);
  EXPECT_GT(answers.size(), 1000u);
  EXPECT_LT(answers.size(), 1300u);
  EXPECT_EQ(counters_.of(Refusal::kPipelining).read(), 1u);
  EXPECT_TRUE(loop_.shut.contains(5)) << "what was answered arrives";
}

TEST_F(WorkerRequestsTest, AnswersHeadAsGetWithoutTheBody) {
  come();
  const std::string full = say(ask("a"));
  const std::string head = say(ask("a", "HEAD"));
  EXPECT_EQ(head, full.substr(0, full.find("\r\n\r\n") + 4));
  EXPECT_THAT(mirror_->requests, ElementsAre("GET a ", "GET a ")) << "it is not told which";
  // Nor has a refusal a body then, so that the next answer is found.
  const std::string lost = say("HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(lost, StartsWith("HTTP/1.1 404 "));
  EXPECT_TRUE(lost.ends_with("\r\n\r\n"));
  EXPECT_THAT(say(ask("b")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(WorkerRequestsTest, AnswersWithoutABodyWhereTheStatusHasNone) {
  const auto dictated = std::make_shared<Dictated>();
  router_.add("/dictated", dictated);
  come();
  for (const int status : {204, 304}) {
    dictated->reply = Reply{.status = status, .body = "not to be said"};
    const std::string answer = say("GET /dictated HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::to_string(status)));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("Content-")));
  }
  EXPECT_THAT(say(ask("b")), StartsWith("HTTP/1.1 200 ")) << "the connection goes on";
}

TEST_F(WorkerRequestsTest, AnswersWith500WhereTheHandlersStatusIsNone) {
  const auto dictated = std::make_shared<Dictated>();
  router_.add("/dictated", dictated);
  come();
  for (const int status : {-1, 0, 100, 101, 199, 600, 1000}) {
    dictated->reply = Reply{.status = status, .body = "so be it"};
    const std::string answer = say("GET /dictated HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 ")) << status;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nso be it")) << status;
  }
}

TEST_F(WorkerRequestsTest, LetsNoHandlerSayASecondTimeWhereAnAnswerEnds) {
  const auto dictated = std::make_shared<Dictated>();
  router_.add("/dictated", dictated);
  dictated->reply = Reply{.body = "four",
                          .headers = {{"content-length", "7"},
                                      {"Transfer-Encoding", "chunked"},
                                      {"connection", "close"},
                                      {"content-type", "text/html"},
                                      {"Cache-Control", "no-store"}}};
  come();
  const std::string answer = say("GET /dictated HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
            "Content-Length: 4\r\nConnection: keep-alive\r\n\r\nfour");
}

TEST_F(WorkerRequestsTest, TellsOneThatExpectsItToGoOnBeforeItSendsItsBody) {
  come();
  EXPECT_EQ(say(ask("a", "POST", "Content-Length: 4\r\nExpect: 100-Continue\r\n")),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(mirror_->requests.empty());
  EXPECT_EQ(say("bo"), "");
  EXPECT_THAT(say("dy"), HasSubstr("you said POST a body"));
}

TEST_F(WorkerRequestsTest, TellsNobodyToGoOnWhoseBodyIsThere) {
  come();
  const std::string answer =
      say(ask("a", "POST", "Content-Length: 4\r\nExpect: 100-continue\r\n") + "body");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, Not(HasSubstr("100 Continue")));
}

TEST_F(WorkerRequestsTest, TellsOneToGoOnOnceHoweverItsBodyTrickles) {
  come();
  const std::string wire =
      ask("a", "POST", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n") +
      "4\r\nbody\r\n0\r\n\r\n";
  std::string answers;
  for (const char c : wire) answers += say({&c, 1});
  EXPECT_EQ(count_of(answers, "100 Continue"), 1);
  EXPECT_THAT(answers, HasSubstr("you said POST a body"));
}

TEST_F(WorkerRequestsTest, RefusesAnExpectedBodyThatNobodyWantsBeforeItComes) {
  come();
  EXPECT_THAT(say("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                  "Expect: 100-continue\r\n\r\n"),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_TRUE(loop_.shut.contains(5));
  EXPECT_EQ(say("body" + ask("b")), "") << "its body is no request";
  EXPECT_TRUE(mirror_->requests.empty());
}

TEST_F(WorkerRequestsTest, RefusesAnExpectedBodyOfOneOverTheLimit) {
  settings_.connections_max = 0;
  come();
  EXPECT_THAT(say(ask("a", "POST", "Content-Length: 4\r\nExpect: 100-continue\r\n")),
              StartsWith("HTTP/1.1 503 "));
}

TEST_F(WorkerRequestsTest, KnowsNoExpectationsBeforeHttp11) {
  come();
  EXPECT_EQ(
      say("POST /page HTTP/1.0\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"),
      "");
  EXPECT_THAT(say("body"), HasSubstr("you said POST"));
}

TEST_F(WorkerRequestsTest, GivesTheNextRequestAsLongAsTheFirst) {
  come();
  say(ask("a"));
  loop_.advance(seconds(9));
  EXPECT_THAT(say(ask("b")), StartsWith("HTTP/1.1 200 "));
  loop_.advance(seconds(9));
  worker().turn();
  EXPECT_FALSE(loop_.closed.contains(5));
  loop_.advance(milliseconds(1100));
  worker().turn();
  EXPECT_TRUE(loop_.closed.contains(5));
  EXPECT_EQ(loop_.sent[5], "") << "it asked nothing that is late";
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 0u);
}

TEST_F(WorkerRequestsTest, JudgesAFurtherRequestFromItsFirstByteOn) {
  come();
  say(ask("a"));
  pass(seconds(9));
  EXPECT_EQ(say("GET /page?b HT"), "");
  pass(seconds(9));
  EXPECT_EQ(heard(5), "") << "it is under way for 9 s alone";
  EXPECT_THAT(say("TP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  say("GET /page?c HTTP/1.1\r\nHost: x");
  for (int i = 0; i < 11; ++i) {
    pass(seconds(1));
    loop_.receive(5, "x");
  }
  EXPECT_THAT(heard(5), StartsWith("HTTP/1.1 408 ")) << "further bytes give it no more time";
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 1u);
}

TEST_F(WorkerRequestsTest, GivesHeadAndBodyOneDeadline) {
  come();
  say(ask("a", "POST", "Content-Length: 40\r\n"));
  for (int i = 0; i < 11; ++i) {
    pass(seconds(1));
    loop_.receive(5, "x");
  }
  EXPECT_THAT(heard(5), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 1u);
}

TEST_F(WorkerRequestsTest, SaysAllToOneThatTakesItsAnswerSlowlyAndNothingBehindIt) {
  WorkerScene::come(6, "");
  const std::string whole = WorkerScene::say(6, ask("a"));
  loop_.limit(5, 20);
  come();
  say(ask("a"));
  pass(seconds(9));
  make_room(5, 10);
  pass(seconds(1) + milliseconds(500));
  EXPECT_FALSE(loop_.closed.contains(5));
  make_room(5, 1000);
  EXPECT_EQ(heard(5), whole.substr(20)) << "it asked nothing that is late";
  EXPECT_TRUE(loop_.shut.contains(5));
  EXPECT_EQ(counters_.of(Refusal::kTimeout).read(), 0u);
  pass(seconds(2));
  EXPECT_TRUE(loop_.closed.contains(5));
}

TEST_F(WorkerRequestsTest, CutsNoAnswerWhenItDrains) {
  settings_.drain_time = seconds(2);
  WorkerScene::come(6, "");
  const std::string whole = WorkerScene::say(6, ask("a"));
  loop_.limit(5, 20);
  come();
  std::string taken = say(ask("a"));
  worker().drain();
  pass(seconds(2));
  EXPECT_TRUE(loop_.closed.contains(6)) << "it is owed nothing";
  make_room(5, 1000);
  EXPECT_EQ(taken + heard(5), whole);
  pass(seconds(2));
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(counters_.of(Refusal::kDraining).read(), 0u);
}

TEST_F(WorkerRequestsTest, EndsADrainInItsTimeThoughAnAnswerIsNotTaken) {
  settings_.drain_time = seconds(2);
  loop_.limit(5, 20);
  come();
  say(ask("a"));
  worker().drain();
  pass(seconds(2) + milliseconds(1100));
  EXPECT_TRUE(worker().is_empty());
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
}

TEST_F(WorkerRequestsTest, TellsARequestThatADrainMeetsHalfway) {
  settings_.drain_time = seconds(2);
  come();
  say(ask("a", "POST", "Content-Length: 4\r\n") + "bo");
  WorkerScene::come(6, "GET /pa");
  worker().drain();
  pass(seconds(2));
  for (const int descriptor : {5, 6}) {
    const std::string answer = heard(descriptor);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  }
  EXPECT_EQ(counters_.of(Refusal::kDraining).read(), 2u);
  pass(seconds(2));
  EXPECT_TRUE(worker().is_empty());
  EXPECT_TRUE(mirror_->requests.empty());
}

}  // namespace
}  // namespace holdfast::server
