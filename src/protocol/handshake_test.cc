#include "protocol/handshake.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "protocol/http_response.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kRfcKey = "dGhlIHNhbXBsZSBub25jZQ==";         // RFC 6455 1.3
constexpr std::string_view kRfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 1.3

// The verdict on a request with these fields.
int status_of(std::string fields, std::string line = "GET /chat HTTP/1.1") {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  const std::string wire = line + "\r\nHost: server.example.com\r\n" + fields + "\r\n";
  Bytes input = as_bytes(wire);
  EXPECT_EQ(parser.feed(input), HttpProgress::kDone) << parser.error_reason();
  const HandshakeVerdict verdict = judge_handshake(parser.request());
  if (verdict.status == 101) {
    EXPECT_EQ(verdict.key, kRfcKey);
  } else {
    EXPECT_FALSE(verdict.reason.empty());
  }
  return verdict.status;
}

const std::string kUpgrade = "Upgrade: websocket\r\n";
const std::string kConnection = "Connection: Upgrade\r\n";
const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";

TEST(Handshake, OfTheRfcsExampleIsAccepted) {
  EXPECT_EQ(
      status_of("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
                "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n"),
      101);
}

TEST(Handshake, TakesTokensInListsInAnyCase) {
  EXPECT_EQ(
      status_of("upgrade: foo, WebSocket\r\nCONNECTION: keep-alive, uPGRADE\r\n" + kKey + kVersion),
      101);
  EXPECT_EQ(status_of("Connection: keep-alive\r\n" + kUpgrade + kConnection + kKey + kVersion),
            101);
}

TEST(Handshake, WithAnotherMethodIsNotAllowed) {
  EXPECT_EQ(status_of(kUpgrade + kConnection + kKey + kVersion, "POST /chat HTTP/1.1"), 405);
}

TEST(Handshake, InHttp10IsRefused) {
  EXPECT_EQ(status_of(kUpgrade + kConnection + kKey + kVersion, "GET /chat HTTP/1.0"), 400);
}

TEST(Handshake, WithoutOneOfItsFieldsIsRefused) {
  EXPECT_EQ(status_of(kConnection + kKey + kVersion), 400);
  EXPECT_EQ(status_of(kUpgrade + kKey + kVersion), 400);
  EXPECT_EQ(status_of(kUpgrade + kConnection + kVersion), 400);
  EXPECT_EQ(status_of("Upgrade: websockets\r\n" + kConnection + kKey + kVersion), 400);
  EXPECT_EQ(status_of(kUpgrade + "Connection: close\r\n" + kKey + kVersion), 400);
}

TEST(Handshake, OfAnotherVersionNeedsAnUpgrade) {
  const std::string rest = kUpgrade + kConnection + kKey;
  EXPECT_EQ(status_of(rest), 426);
  for (std::string_view version : {"8", "0", "14", "013", "13, 8", ""}) {
    EXPECT_EQ(status_of(rest + "Sec-WebSocket-Version: " + std::string(version) + "\r\n"), 426)
        << version;
  }
  EXPECT_EQ(status_of(rest + kVersion + kVersion), 400);
}

TEST(Handshake, WithAKeyThatIsNotSixteenBytesIsRefused) {
  const std::string rest = kUpgrade + kConnection + kVersion;
  for (std::string_view key :
       {"", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQAA",
        "AAAAAAAAAAAAAAAAAAAAA===", "dGhlIHNhbXBsZSBub25jZ-==", "dGhl HNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="}) {
    EXPECT_EQ(status_of(rest + "Sec-WebSocket-Key: " + std::string(key) + "\r\n"), 400) << key;
  }
  EXPECT_EQ(status_of(rest + kKey + kKey), 400);
}

std::string response(std::string_view key, std::string_view subprotocol = {}) {
  std::array<std::byte, kHandshakeResponseBytesMax> out;
  const std::size_t size = write_handshake_response(out.data(), key, subprotocol);
  EXPECT_LE(size, out.size());
  return std::string(as_text({out.data(), size}));
}

TEST(Handshake, IsAnsweredAsTheRfcsExample) {
  EXPECT_EQ(
      response(kRfcKey, "chat"),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
}

TEST(Handshake, ReusesItsHashCorrectly) {
  EXPECT_NE(response("AAAAAAAAAAAAAAAAAAAAAA=="), response(kRfcKey));
  EXPECT_EQ(response(kRfcKey), response(kRfcKey));
}

TEST(Handshake, HasRoomForTheLongestSubprotocol) {
  const std::string longest(kSubprotocolBytesMax, 'p');
  EXPECT_NE(response(kRfcKey, longest).find(longest), std::string::npos);
}

TEST(ClientHandshake, MakesTheRfcsKey) {
  EXPECT_EQ(make_key(std::span<const std::byte, 16>(as_bytes("the sample nonce"))), kRfcKey);
}

TEST(ClientHandshake, RecognisesTheServersProof) {
  EXPECT_TRUE(is_accept_of(kRfcAccept, kRfcKey));
  EXPECT_FALSE(is_accept_of(kRfcAccept, "AAAAAAAAAAAAAAAAAAAAAA=="));
  EXPECT_FALSE(is_accept_of("", kRfcKey));
}

TEST(ClientHandshake, IsAcceptedByOurServerAndProven) {
  const HttpLimits limits;
  HttpRequestParser server(&limits);
  const std::string request = handshake_request("127.0.0.1:8080", "/echo?x=1", kRfcKey);
  Bytes input = as_bytes(request);
  ASSERT_EQ(server.feed(input), HttpProgress::kDone);
  EXPECT_EQ(server.request().header("Host"), "127.0.0.1:8080");
  EXPECT_EQ(server.request().path, "/echo");
  const HandshakeVerdict verdict = judge_handshake(server.request());
  ASSERT_EQ(verdict.status, 101);

  HttpResponseParser client(&limits);
  const std::string answer = response(verdict.key);
  input = as_bytes(answer);
  ASSERT_EQ(client.feed(input), HttpProgress::kDone);
  EXPECT_EQ(client.response().status, 101);
  EXPECT_TRUE(is_accept_of(*client.response().header("sec-websocket-accept"), kRfcKey));
}

TEST(ClientHandshakeDeath, RefusesATargetThatWouldBeginAnotherLine) {
  EXPECT_DEATH(handshake_request("a", "/\r\nX: y", kRfcKey), "CHECK failed");
  const std::array smuggled = {HttpHeader{"X", "y\r\nZ: w"}};
  EXPECT_DEATH(handshake_request("a", "/", kRfcKey, smuggled), "CHECK failed");
}

}  // namespace
}  // namespace holdfast::protocol
