#include "protocol/http_response.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

using Progress = HttpProgress;

struct Outcome {
  Progress progress = Progress::kMore;
  int status = 0;
  std::string reason, body, rest;
  bool keep_alive = false;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(HttpResponseParser& parser, const std::vector<std::string>& pieces, bool ended) {
  Outcome outcome;
  for (const std::string& piece : pieces) {
    const std::vector<std::byte> memory(as_bytes(piece).begin(), as_bytes(piece).end());
    Bytes input = memory;
    outcome.progress = parser.feed(input);
    outcome.rest += as_text(input);
  }
  if (ended) outcome.progress = parser.finish();
  if (outcome.progress == Progress::kError) {
    EXPECT_FALSE(parser.error_reason().empty());
    outcome.rest.clear();
  }
  if (outcome.progress != Progress::kDone) return outcome;
  outcome.status = parser.response().status;
  outcome.reason = parser.response().reason;
  outcome.body = as_text(parser.response().body);
  outcome.keep_alive = parser.response().keep_alive;
  return outcome;
}

// The outcome of `wire`, the same for every split in two and byte by byte.
Outcome parse(std::string_view wire, bool ended = false, const HttpLimits& limits = {}) {
  HttpResponseParser parser(&limits);
  const Outcome expected = outcome_of(parser, {std::string(wire)}, ended);
  for (std::size_t split = 0; split <= wire.size(); ++split) {
    parser.reset();
    EXPECT_TRUE(outcome_of(parser,
                           {std::string(wire.substr(0, split)), std::string(wire.substr(split))},
                           ended) == expected)
        << "split at " << split << " of " << wire;
  }
  std::vector<std::string> bytes;
  for (char c : wire) bytes.emplace_back(1, c);
  parser.reset();
  EXPECT_TRUE(outcome_of(parser, bytes, ended) == expected) << "byte by byte: " << wire;
  return expected;
}

TEST(HttpResponse, IsWrittenWithItsLengthAndTheConnectionsFate) {
  const HttpHeader allow[] = {{"Allow", "GET"}};
  EXPECT_EQ(http_response(405, allow, "no\n", false),
            "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 3\r\nConnection: "
            "close\r\n\r\nno\n");
  EXPECT_EQ(http_response(200, {}, "", true),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(http_response(204, {}, "", true),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}

TEST(HttpResponse, OfAStatusWithoutContentHasNoneWhateverItIsGiven) {
  EXPECT_EQ(http_response(204, {}, "gone", true),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(http_response(304, {}, "the same", true),
            "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(http_response(205, {}, "again", true),
            "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(HttpResponse, ThatNamesAnUpgradeListsItInConnection) {
  const HttpHeader headers[] = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
  EXPECT_NE(http_response(426, headers, "", false).find("\r\nConnection: close, upgrade\r\n"),
            std::string::npos);
}

TEST(HttpResponseDeath, RefusesAValueThatWouldBeginAnotherLine) {
  const HttpHeader split[] = {{"A", "b\r\nC: d"}};
  EXPECT_DEATH(http_response(200, split, "", true), "CHECK failed");
}

TEST(HttpResponseDeath, RefusesAStatusThatIsNoWholeAnswers) {
  for (const int status : {100, 199, 600})
    EXPECT_DEATH(http_response(status, {}, "", true), "CHECK failed");
}

TEST(HttpResponseParser, ReadsWhatTheWriterWrites) {
  const HttpHeader retry[] = {{"Retry-After", "5"}};
  const Outcome outcome = parse(http_response(503, retry, "busy", false) + "rest");
  EXPECT_EQ(outcome, (Outcome{Progress::kDone, 503, "Service Unavailable", "busy", "rest", false}));
}

TEST(HttpResponseParser, StopsAtTheFirstFrameBehindA101) {
  const Outcome outcome = parse(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x89\x05Hello");
  EXPECT_EQ(outcome.status, 101);
  EXPECT_EQ(outcome.rest, "\x89\x05Hello");
}

TEST(HttpResponseParser, FindsHeadersWithoutRegardToCase) {
  const HttpLimits limits;
  HttpResponseParser parser(&limits);
  Bytes input = as_bytes("HTTP/1.1 101 X\r\nSEC-WEBSOCKET-ACCEPT: abc\r\n\r\n");
  ASSERT_EQ(parser.feed(input), Progress::kDone);
  EXPECT_EQ(parser.response().header("Sec-WebSocket-Accept"), "abc");
  EXPECT_EQ(parser.response().header("Date"), std::nullopt);
}

TEST(HttpResponseParser, ReadsABodyUntilTheEnd) {
  EXPECT_EQ(parse("HTTP/1.0 502 Bad Gateway\r\n\r\nsorry").progress, Progress::kMore);
  EXPECT_EQ(parse("HTTP/1.0 502 Bad Gateway\r\n\r\nsorry", true),
            (Outcome{Progress::kDone, 502, "Bad Gateway", "sorry", "", false}));
}

TEST(HttpResponseParser, ReadsAChunkedBody) {
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nrest"),
            (Outcome{Progress::kDone, 200, "OK", "abc", "rest", true}));
}

TEST(HttpResponseParser, SkipsInterimResponses) {
  EXPECT_EQ(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\n\r\nrest"),
            (Outcome{Progress::kDone, 204, "No Content", "", "rest", true}));
}

TEST(HttpResponseParser, ReadsAStatusLineWithoutPhrase) {
  EXPECT_EQ(parse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").status, 200);
  EXPECT_EQ(parse("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").status, 200);
}

TEST(HttpResponseParser, RefusesWhatIsNoWholeHttpResponse) {
  for (std::string_view wrong :
       {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    EXPECT_EQ(parse(wrong, true).progress, Progress::kError) << wrong;
  }
  for (std::string_view wrong :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 banana\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"}) {
    EXPECT_EQ(parse(wrong).progress, Progress::kError) << wrong;
  }
  const HttpLimits limits{.head_bytes_max = 50, .body_bytes_max = 3};
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", false, limits).progress,
            Progress::kError);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\n1234", false, limits).progress, Progress::kError);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nA: " + std::string(50, 'x'), false, limits).progress,
            Progress::kError);
}

}  // namespace
}  // namespace holdfast::protocol
