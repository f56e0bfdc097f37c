#include "protocol/http_request.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace holdfast::protocol {
namespace {

using Progress = HttpProgress;

// What came of some bytes, with its own copy of everything.
struct Outcome {
  Progress progress = Progress::kMore;
  int status = 0;
  std::string method, target, path, query, body, rest;
  std::vector<std::pair<std::string, std::string>> headers;
  bool keep_alive = false;
  bool upgrade = false;
  bool operator==(const Outcome&) const = default;
};

// Feeds one piece out of memory of its own, freed at once. Returns what the parser left of it.
std::string feed(HttpRequestParser& parser, std::string_view piece) {
  const std::vector<std::byte> memory(as_bytes(piece).begin(), as_bytes(piece).end());
  Bytes input = memory;
  const Progress progress = parser.feed(input);
  EXPECT_TRUE(progress != Progress::kMore || input.empty());
  return std::string(as_text(input));
}

Outcome outcome_of(HttpRequestParser& parser, const std::vector<std::string>& pieces) {
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.rest += feed(parser, piece);
  Bytes nothing;
  outcome.progress = parser.feed(nothing);
  outcome.status = parser.error_status();
  if (outcome.progress == Progress::kError) {
    EXPECT_FALSE(parser.error_reason().empty());
    outcome.rest.clear();  // how much of a wrong request was read is nobody's business
  }
  if (outcome.progress != Progress::kDone) return outcome;
  const HttpRequest& request = parser.request();
  outcome.method = request.method;
  outcome.target = request.target;
  outcome.path = request.path;
  outcome.query = request.query;
  outcome.body = as_text(request.body);
  outcome.keep_alive = request.keep_alive;
  outcome.upgrade = request.upgrade;
  for (const HttpHeader& header : request.headers) {
    outcome.headers.emplace_back(header.name, header.value);
  }
  return outcome;
}

// The outcome of `wire`, which must be the same for every split in two and byte by byte, also in a
// parser that was used.
Outcome parse(std::string_view wire, const HttpLimits& limits = {}) {
  HttpRequestParser parser(&limits);
  const Outcome expected = outcome_of(parser, {std::string(wire)});
  for (std::size_t split = 0; split <= wire.size(); ++split) {
    parser.reset();
    EXPECT_FALSE(parser.started());
    const Outcome outcome =
        outcome_of(parser, {std::string(wire.substr(0, split)), std::string(wire.substr(split))});
    EXPECT_TRUE(outcome == expected)
        << "split at " << split << ": status " << outcome.status << ", whole " << expected.status;
  }
  std::vector<std::string> bytes;
  for (char c : wire) bytes.emplace_back(1, c);
  parser.reset();
  EXPECT_TRUE(outcome_of(parser, bytes) == expected) << "byte by byte";
  return expected;
}

void expect_refused(std::string_view wire, int status, const HttpLimits& limits = {}) {
  const Outcome outcome = parse(wire, limits);
  EXPECT_EQ(outcome.progress, Progress::kError) << testing::PrintToString(wire);
  EXPECT_EQ(outcome.status, status) << testing::PrintToString(wire);
}

constexpr std::string_view kUpgrade =
    "GET /chat?room=1 HTTP/1.1\r\n"
    "Host: server.example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Origin: http://example.com\r\n"
    "Sec-WebSocket-Protocol: chat, superchat\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n";

TEST(HttpRequest, OfTheRfcsUpgradeStopsAtTheFirstFrame) {
  const Outcome outcome = parse(std::string(kUpgrade) + "\x81\x80....");
  EXPECT_EQ(outcome.progress, Progress::kDone);
  EXPECT_EQ(outcome.method, "GET");
  EXPECT_EQ(outcome.target, "/chat?room=1");
  EXPECT_EQ(outcome.path, "/chat");
  EXPECT_EQ(outcome.query, "room=1");
  EXPECT_TRUE(outcome.upgrade);
  EXPECT_TRUE(outcome.keep_alive);
  EXPECT_EQ(outcome.rest, "\x81\x80....");
  ASSERT_EQ(outcome.headers.size(), 7u);
  EXPECT_EQ(outcome.headers[5],
            (std::pair<std::string, std::string>{"Sec-WebSocket-Protocol", "chat, superchat"}));
}

TEST(HttpRequest, FindsHeadersWithoutRegardToCase) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  feed(parser,
       "GET / HTTP/1.1\r\nHOST: a\r\nX-Twice: 1\r\nx-twice: 2\r\nEmpty:\r\nPadded: \t x y "
       "\t\r\n\r\n");
  const HttpRequest& request = parser.request();
  EXPECT_EQ(request.header("host"), "a");
  EXPECT_EQ(request.header("X-TWICE"), "1");
  EXPECT_EQ(request.count("X-twice"), 2);
  EXPECT_EQ(request.header("empty"), "");
  EXPECT_EQ(request.header("padded"), "x y");
  EXPECT_EQ(request.header("absent"), std::nullopt);
}

TEST(HttpRequest, SplitsItsTarget) {
  const auto path_and_query = [](std::string target) {
    const Outcome outcome = parse("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return std::pair(outcome.path, outcome.query);
  };
  using Parts = std::pair<std::string, std::string>;
  EXPECT_EQ(path_and_query("/"), (Parts{"/", ""}));
  EXPECT_EQ(path_and_query("/topics/a%20b?x=1&y=?"), (Parts{"/topics/a%20b", "x=1&y=?"}));
  EXPECT_EQ(path_and_query("/?"), (Parts{"/", ""}));
  EXPECT_EQ(path_and_query("http://host:80/a/b?c"), (Parts{"/a/b", "c"}));
  EXPECT_EQ(path_and_query("http://host"), (Parts{"/", ""}));
  EXPECT_EQ(path_and_query("http://host?c"), (Parts{"/", "c"}));
  EXPECT_EQ(path_and_query("//double"), (Parts{"//double", ""}));
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
  EXPECT_EQ(parse("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").path, "a:443");
  expect_refused("GET /a#fragment HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

TEST(HttpRequest, WantsAWebSocketWhenItSaysSoInAnyOfTwoPlaces) {
  const auto upgrade = [](std::string headers) {
    return parse("GET / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n").upgrade;
  };
  EXPECT_FALSE(upgrade(""));
  EXPECT_FALSE(upgrade(
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"));
  EXPECT_TRUE(upgrade("Upgrade: foo, WebSocket\r\n"));
  EXPECT_TRUE(upgrade("Sec-WebSocket-Key: x\r\n"));
}

TEST(HttpRequest, KeepsTheConnectionAliveAsItsVersionAndFieldsSay) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

TEST(HttpRequest, CarriesABodyOfItsContentLength) {
  const Outcome outcome =
      parse("POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /");
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.rest, "GET /");
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nrest").rest, "rest");
}

TEST(HttpRequest, CarriesADecodedChunkedBody) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
  const Outcome outcome =
      parse(head + "5\r\nhello\r\n00A;ext=\"v\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest");
  EXPECT_EQ(outcome.body, "hello0123456789");
  EXPECT_EQ(outcome.rest, "rest");
  EXPECT_EQ(parse(head + "0\r\n\r\n").body, "");
  for (std::string_view wrong :
       {"\r\n", "g\r\n", "5\nhello", "5\rx", "5\r\nhello0", "5\r\nhello\r0", "5\r\nhello\n",
        "-1\r\n", "0x5\r\n", "11111111111111111\r\n", "5;\x01\r\n", "0\r\n folded\r\n\r\n",
        "0\r\nbare\n\n", "0\r\nA: b\rc\r\n\r\n", "0\r\n\n", "0\r\nno field\r\n\r\n",
        "0\r\njunk\r\n\r\n", "0\r\n: b\r\n\r\n", "0\r\nA: \x01\r\n\r\n"}) {
    expect_refused(head + std::string(wrong), 400);
  }
}

TEST(HttpRequest, PassesOverEmptyLinesBeforeItButNotForever) {
  EXPECT_EQ(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
  const HttpLimits limits{.head_bytes_max = 64};
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += "\r\n";
  expect_refused(lines, 431, limits);
}

TEST(HttpRequest, IsRefusedWhenMalformed) {
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string host = "Host: a\r\n";
  for (const std::string& wrong :
       std::vector<std::string>{"\x16\x03\x01\x02\x00",  // a TLS greeting
                                "NONSENSE / HTTP/1.1\r\n" + host + "\r\n",
                                "get / HTTP/1.1\r\n" + host + "\r\n",
                                "GET  HTTP/1.1\r\n" + host + "\r\n",
                                "GET / HTP/1.1\r\n" + host + "\r\n",
                                "GET /a b HTTP/1.1\r\n" + host + "\r\n",
                                "GET relative HTTP/1.1\r\n" + host + "\r\n",
                                "GET / HTTP/1.1\n" + host + "\r\n",  // bare LF
                                line + "Host: a\n\r\n",
                                line + "Host: a\r\n\n",  // \r\n\n
                                line + host + "\n",
                                line + host + "A: b\rC: d\r\n\r\n",  // bare CR
                                line + host + "A: b\r\rC: d\r\n\r\n",
                                line + host + "A: b\r\n folded\r\n\r\n",  // obs-fold
                                line + host + "A: b\r\n\tfolded\r\n\r\n",
                                line + " " + host + "\r\n",
                                line + host + "A : b\r\n\r\n",  // space before the colon
                                line + host + "A\r\n\r\n",
                                line + host + ": b\r\n\r\n",
                                line + host + "A: \x01\r\n\r\n",
                                line + host + std::string("A: \0\r\n\r\n", 8),
                                line + host + "A\xFF: b\r\n\r\n"}) {
    expect_refused(wrong, 400);
  }
}

TEST(HttpRequest, NeedsAHostThatCanBeOne) {
  for (const std::string host :
       {"a", "a.b:80", "[::1]:443", "[fe80::1%25eth0]", "a:", "", "xn--p%41"})
    EXPECT_EQ(parse("GET /a HTTP/1.1\r\nHost: " + host + "\r\n\r\n").path, "/a") << host;
  for (const std::string host :
       {"a b", "a/b", "a@b", "a:b", "a?b", "[::1", "[]", "[::1]a", "a\\b", "a\xC3\xA9"})
    expect_refused("GET /a HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400);
}

TEST(HttpRequest, NeedsExactlyOneHostInHttp11) {
  expect_refused("GET / HTTP/1.1\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
  expect_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400);
  EXPECT_EQ(parse("GET / HTTP/1.0\r\n\r\n").progress, Progress::kDone);
}

TEST(HttpRequest, IsRefusedWhenItsBodysLengthIsInDoubt) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (std::string_view fields :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 6\r\n",
        "Content-Length: -5\r\n", "Content-Length: +5\r\n", "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n", "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: \r\n",
        "Content-Length: \r\n"}) {
    expect_refused(head + std::string(fields) + "\r\n", 400);
  }
  expect_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

TEST(HttpRequest, WithAnUnknownTransferCodingIsNotImplemented) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (std::string_view field : {"gzip", "gzip, chunked", "identity", "xchunked", "chunked;q=1"}) {
    expect_refused(head + "Transfer-Encoding: " + std::string(field) + "\r\n\r\n", 501);
  }
}

TEST(HttpRequest, OfAnotherVersionIsNotSupported) {
  for (std::string_view version : {"2.0", "0.9", "1.2", "3.0", "9.9"}) {
    expect_refused("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n\r\n", 505);
  }
  expect_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  expect_refused("GET /\r\n\r\n", 505);  // HTTP/0.9
}

TEST(HttpRequest, MayFillItsLimitsButNotMore) {
  const std::string line = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string head = line + "X: " + std::string(100, 'x') + "\r\n\r\n";
  HttpLimits limits{.head_bytes_max = static_cast<std::uint32_t>(head.size())};
  EXPECT_EQ(parse(head + "rest", limits).progress, Progress::kDone);
  limits.head_bytes_max -= 1;
  expect_refused(head, 431, limits);

  limits = {.headers_max = 2};
  EXPECT_EQ(parse(line + "A: b\r\n\r\n", limits).progress, Progress::kDone);
  expect_refused(line + "A: b\r\nC: d\r\n\r\n", 431, limits);
  expect_refused(line + "A: b\r\nwr=ng", 400,
                 limits);  // the same verdict wherever the name is split

  limits = {.head_bytes_max = 256, .body_bytes_max = 5};
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(parse(post + "Content-Length: 5\r\n\r\n12345", limits).body, "12345");
  expect_refused(post + "Content-Length: 6\r\n\r\n", 413, limits);
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(chunked + "3\r\n123\r\n2\r\n45\r\n0\r\n\r\n", limits).body, "12345");
  expect_refused(chunked + "3\r\n123\r\n3\r\n456\r\n0\r\n\r\n", 413, limits);
  expect_refused(chunked + "FFFFFFFFFFFFFFFF\r\n", 413, limits);
  expect_refused(chunked + "3\r\n123\r\nFFFFFFFFFFFFFFFF\r\n", 413, limits);
  expect_refused(chunked + "3;" + std::string(300, 'x'), 431, limits);
  expect_refused(chunked + "0\r\nA: " + std::string(300, 'x'), 431, limits);
}

TEST(HttpRequest, MayHaveALargerBodyWhereItsPathTakesOne) {
  const HttpLimits limits{.body_bytes_max = 5,
                          .body_bytes_max_at = [](std::string_view path) -> std::uint64_t {
                            return path == "/large" ? 7 : path == "/small" ? 3 : 0;
                          }};
  const auto sized = [](std::string_view target, std::string_view body) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
  };
  const auto chunked = [](std::string_view target, std::string_view body) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
           std::to_string(body.size()) + "\r\n" + std::string(body) + "\r\n0\r\n\r\n";
  };
  EXPECT_EQ(parse(sized("/large?x=1", "1234567"), limits).body, "1234567");
  EXPECT_EQ(parse(chunked("/large", "1234567"), limits).body, "1234567");
  EXPECT_EQ(parse(sized("/small", "12345"), limits).body, "12345") << "never less than elsewhere";
  expect_refused(sized("/large", "12345678"), 413, limits);
  expect_refused(chunked("/large", "12345678"), 413, limits);
  expect_refused(sized("/", "123456"), 413, limits);
  expect_refused(chunked("/", "123456"), 413, limits);
}

TEST(HttpRequestParser, KnowsWhetherItIsIdle) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  EXPECT_FALSE(parser.started());
  feed(parser, "G");
  EXPECT_TRUE(parser.started());
  EXPECT_FALSE(parser.head_done());
  feed(parser, "ET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_TRUE(parser.head_done());
  EXPECT_EQ(parser.request().header("expect"), "100-continue")
      << "the head can be read before the body";
  parser.reset();
  EXPECT_FALSE(parser.started());
}

TEST(HttpRequestParser, TakesPipelinedRequestsOneByOne) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  std::string wire = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  Bytes input = as_bytes(wire);
  EXPECT_EQ(parser.feed(input), Progress::kDone);
  EXPECT_EQ(parser.request().path, "/1");
  EXPECT_EQ(parser.feed(input), Progress::kDone) << "nothing more is read before reset()";
  EXPECT_EQ(parser.request().path, "/1");
  parser.reset();
  EXPECT_EQ(parser.feed(input), Progress::kDone);
  EXPECT_EQ(parser.request().path, "/2");
  EXPECT_TRUE(input.empty());
}

TEST(HttpRequestParser, MayMoveWhileARequestIsOnItsWay) {
  const HttpLimits limits;
  HttpRequestParser first(&limits);
  feed(first, "GET /moved HTTP/1.1\r\nHo");
  HttpRequestParser second = std::move(first);
  feed(second, "st: a\r\n\r\n");
  EXPECT_EQ(second.request().path, "/moved");
  EXPECT_EQ(second.request().header("Host"), "a");
}

}  // namespace
}  // namespace holdfast::protocol
