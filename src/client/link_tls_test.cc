// wss:// through a whole link, without a kernel: OpenSSL's server on the other side.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "client/fake_loop.h"
#include "client/link.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/tls_peer.h"

namespace holdfast::client {
namespace {

using protocol::Identity;
using protocol::SslEnd;
using std::chrono::milliseconds;
using testing::HasSubstr;
using Kind = ClientEvent::Kind;

constexpr net::Descriptor kSocket = 10;  // the fake's first

std::string ca_file(const Identity& identity) {
  const std::string path = testing::TempDir() + fmt::format("holdfast_link_tls_{}", ::getpid());
  std::ofstream(path, std::ios::binary) << identity.certificate_pem();
  return path;
}

std::string frame(std::string_view payload) {
  std::byte header[protocol::kFrameHeaderBytesMax];
  const std::size_t size =
      protocol::write_frame_header(header, protocol::Opcode::kText, true, payload.size());
  return std::string(as_text({header, size})) + std::string(payload);
}

class LinkTlsTest : public testing::Test {
 protected:
  LinkTlsTest() {
    options_.tls_ca_file = ca_file(identity_);
    options_.tls_server_name = "localhost";
  }

  Link& link() {
    if (!link_) link_.emplace(loop_, options_);
    return *link_;
  }
  std::optional<ClientEvent> next() { return link().next(milliseconds(0)); }
  // The server takes what was sent, and its answer comes, in pieces.
  void serve() {
    server_->input(as_bytes(loop_.take_sent(kSocket)));
    if (!server_->is_done()) server_->handshake();
    if (server_->is_done()) heard_ += server_->read();
    answer();
  }
  void answer() {
    const auto bytes = server_->output();
    for (std::size_t at = 0; at < bytes.size(); at += piece_)
      loop_.received(kSocket,
                     as_text(Bytes(bytes).subspan(at, std::min(piece_, bytes.size() - at))));
  }
  void begin() {
    server_ = std::make_unique<SslEnd>(context_.get(), true);
    heard_.clear();
    EXPECT_EQ(link().connect("wss://127.0.0.9:8443/room"), std::nullopt);
    EXPECT_FALSE(next());
    loop_.connected(kSocket);
    EXPECT_FALSE(next());
  }
  // Up to the server having heard the request.
  void ask() {
    begin();
    for (int i = 0; i < 5 && !heard_.ends_with("\r\n\r\n"); ++i) {
      serve();
      const auto event = next();
      ASSERT_FALSE(event) << event->reason;
    }
    ASSERT_THAT(heard_, testing::StartsWith("GET /room HTTP/1.1\r\nHost: 127.0.0.9:8443\r\n"));
  }
  void open() {
    ask();
    const std::string_view name = "Sec-WebSocket-Key: ";
    const std::string key = heard_.substr(heard_.find(name) + name.size(), protocol::kKeyBytes);
    std::byte out[protocol::kHandshakeResponseBytesMax];
    server_->write(as_text({out, protocol::write_handshake_response(out, key, {})}));
    answer();
    const auto event = next();
    ASSERT_TRUE(event);
    ASSERT_EQ(event->kind, Kind::kOpen) << event->reason;
    heard_.clear();
  }
  // The server's end of TCP.
  std::optional<ClientEvent> end() {
    loop_.closed(kSocket);
    return next();
  }

  const Identity identity_{"localhost"};
  protocol::SslContextPointer context_ = protocol::server_context(identity_);
  FakeLoop loop_;
  ClientOptions options_;
  std::optional<Link> link_;
  std::unique_ptr<SslEnd> server_;
  std::size_t piece_ = 1'000'000;
  std::string heard_;  // by the server
};

TEST_F(LinkTlsTest, TalksHoweverTheBytesArrive) {
  for (const std::size_t piece : {1u, 50u, 1'000'000u}) {
    SCOPED_TRACE(piece);
    piece_ = piece;
    link_.reset();
    loop_.open.clear();
    open();
    for (const std::size_t size : {0u, 5u, 40'000u}) {
      const std::string text(size, 'a');
      ASSERT_TRUE(link().send(MessageKind::kText, as_bytes(text)));
      EXPECT_FALSE(next());
      EXPECT_EQ(link().queued_bytes(), 0u);
      serve();
      EXPECT_EQ(heard_.size(), size + protocol::frame_header_bytes(size, true));
      heard_.clear();
      server_->write(frame(text));
      answer();
      const auto event = next();
      ASSERT_TRUE(event);
      EXPECT_EQ(as_text(event->payload), text);
      EXPECT_FALSE(next());
    }
  }
}

TEST_F(LinkTlsTest, HearsSeveralMessagesOfOneRecordOneByOne) {
  open();
  server_->write(frame("one") + frame("two"));
  server_->write(frame("three"));
  answer();
  for (const std::string_view text : {"one", "two", "three"}) {
    const auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(as_text(event->payload), text);
  }
  EXPECT_FALSE(next());
}

TEST_F(LinkTlsTest, SealsWhatASlowServerIsSentOnceAndInOrder) {
  open();
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string text(50'000, static_cast<char>('a' + i));
    ASSERT_TRUE(link().send(MessageKind::kText, as_bytes(text)));
    expected += text;
  }
  for (int i = 0; i < 2'000 && link().queued_bytes() > 0; ++i) {
    loop_.room[kSocket] = 777;
    loop_.writable(kSocket);
    EXPECT_FALSE(next());
    serve();
  }
  EXPECT_EQ(link().queued_bytes(), 0u);
  EXPECT_EQ(heard_.size(), expected.size() + 5 * protocol::frame_header_bytes(50'000, true));
}

TEST_F(LinkTlsTest, TrustsNobodyElse) {
  options_.tls_ca_file = ca_file(Identity("localhost"));
  begin();
  serve();
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kFailed);
  EXPECT_THAT(event->reason, HasSubstr("certificate not verified"));
  // The server is told why.
  ERR_clear_error();
  serve();
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV1_ALERT_UNKNOWN_CA);
  ERR_clear_error();
}

TEST_F(LinkTlsTest, WantsTheNameThatItAskedFor) {
  options_.tls_server_name.clear();  // the address, which the certificate does not name
  begin();
  serve();
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_THAT(event->reason, HasSubstr("IP address mismatch"));
}

TEST_F(LinkTlsTest, BelievesAnybodyWhereItIsToldTo) {
  options_.tls_ca_file.clear();
  options_.tls_verify = false;
  open();
}

TEST_F(LinkTlsTest, SaysAtOnceThatThereAreNoAuthorities) {
  options_.tls_ca_file = "/nowhere";
  EXPECT_THAT(link().connect("wss://127.0.0.9/").value_or(""), HasSubstr("'/nowhere' holds no"));
  EXPECT_TRUE(link().is_over());
}

TEST_F(LinkTlsTest, ComesBackWithATicket) {
  open();
  EXPECT_EQ(SSL_session_reused(server_->ssl()), 0);
  EXPECT_TRUE(end());
  open();
  EXPECT_EQ(SSL_session_reused(server_->ssl()), 1);
}

TEST_F(LinkTlsTest, AnswersCloseNotify) {
  open();
  SSL_shutdown(server_->ssl());
  answer();
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->code, 1006);  // the WebSocket was not closed
  serve();
  EXPECT_NE(SSL_get_shutdown(server_->ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
}

TEST_F(LinkTlsTest, TakesNoEndFromSomebodyOnTheWay) {
  for (const bool is_cut : {true, false}) {
    ask();
    server_->write("HTTP/1.1 403 Forbidden\r\n\r\nnot for ");  // the rest would follow
    if (!is_cut) SSL_shutdown(server_->ssl());
    answer();
    auto event = next();
    if (!event) event = end();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, Kind::kFailed);
    EXPECT_EQ(event->status, is_cut ? 0 : 403) << event->reason;
  }
}

TEST_F(LinkTlsTest, EndsAtARecordThatIsNotAuthentic) {
  open();
  server_->write(frame("x"));
  auto bytes = server_->output();
  bytes.back() ^= std::byte{1};
  loop_.received(kSocket, as_text(bytes));
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kClosed);
  EXPECT_EQ(event->code, 1006);
  EXPECT_THAT(event->reason, HasSubstr("TLS"));
  ERR_clear_error();
  serve();
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  ERR_clear_error();
}

// HelloRequests, each of which OpenSSL answers with a no_renegotiation.
TEST_F(LinkTlsTest, LeavesAServerThatAsksForMoreHandshakesAndReadsNoRefusal) {
  CHECK(SSL_CTX_set_max_proto_version(context_.get(), TLS1_2_VERSION) == 1);
  open();
  loop_.room[kSocket] = 0;
  ASSERT_TRUE(link().send(MessageKind::kText, as_bytes("what it does not read")));
  std::optional<ClientEvent> event;
  int asked = 0;
  for (; asked < 10'000 && !event; ++asked) {
    ASSERT_EQ(SSL_renegotiate(server_->ssl()), 1);
    server_->handshake();
    answer();
    event = next();
  }
  ASSERT_TRUE(event);
  EXPECT_EQ(event->code, 1006);
  EXPECT_THAT(event->reason, HasSubstr("reads no answer"));
  EXPECT_GT(asked, 1'000);
  EXPECT_LT(asked, 3'000);
}

TEST_F(LinkTlsTest, GivesUpOnAHandshakeThatDoesNotEnd) {
  begin();
  loop_.time += std::chrono::seconds(11);
  const auto event = link().next(milliseconds(1));
  ASSERT_TRUE(event);
  EXPECT_THAT(event->reason, HasSubstr("TLS handshake"));
}

}  // namespace
}  // namespace holdfast::client
