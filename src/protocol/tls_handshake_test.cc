#include "protocol/tls_handshake.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/tls_codec.h"
#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

constexpr unsigned char kFinished = 20;

const Identity& localhost() {
  static const Identity identity("localhost");
  return identity;
}

std::shared_ptr<const TlsContext> context_of_localhost() {
  auto context = TlsContext::make(
      {.identities = {{localhost().certificate_pem(), localhost().key_pem(), "test.pem"}}});
  CHECK(context);
  return *context;
}

// OpenSSL's client and our server, a flight at a time.
struct Pair {
  Pair(SSL_CTX* clients, std::shared_ptr<const TlsContext> context) : client(clients, false) {
    codec.begin(std::move(context));
  }
  ~Pair() { codec.end(engine); }

  // What the client has to say now.
  std::vector<std::byte> flight() {
    if (!client.is_done()) client.handshake();
    return client.output();
  }
  // kMore, or kFailed.
  TlsOpened::Kind give(std::vector<std::byte> bytes) {
    MutableBytes input = bytes;
    TlsOpened opened;
    do {
      opened = codec.next(engine, input, scratch);
    } while (opened.kind != TlsOpened::Kind::kMore && opened.kind != TlsOpened::Kind::kFailed);
    if (codec.has_something_to_say()) {
      std::vector<std::byte> out;
      codec.seal(engine, {}, out);
      client.input(out);
    }
    return opened.kind;
  }
  void shake_hands() {
    for (int i = 0; i < 5 && !codec.is_established(); ++i) give(flight());
    ASSERT_TRUE(codec.is_established());
  }

  SslEnd client;
  TlsCodec codec;
  TlsEngine engine;
  std::vector<std::byte> scratch;
};

using Act = std::function<void(SSL*)>;

// When the client's Finished has come and OpenSSL is about to judge it, in handshakes that begin
// from now on.
void at_finished(const TlsContext& context, Act& act) {
  SSL_CTX_set_msg_callback_arg(context.ssl(), &act);
  SSL_CTX_set_msg_callback(context.ssl(), [](int is_written, int, int type, const void* message,
                                             std::size_t size, SSL* ssl, void* given) {
    if (is_written == 0 && type == SSL3_RT_HANDSHAKE && size > 0 &&
        *static_cast<const unsigned char*>(message) == kFinished)
      (*static_cast<Act*>(given))(ssl);
  });
}

struct Written {
  const char* what;
  TlsContent type;
  std::string content;
  std::uint64_t sequence;
  std::size_t bytes_kept;
  bool is_taken_over;
};

// A stranger's record among the bytes of the call that completes the handshake, as a later OpenSSL
// might write one. There are no tickets here, so it is the only one.
TEST(TlsHandshake, IsTakenOverOnlyWhereOpenSslWroteTicketsAndNothingElse) {
  constexpr std::size_t kAll = 1000;
  const std::string ticket("\x04\0\0\0", 4), key_update("\x18\0\0\1\0", 5);
  const auto clients = client_context();
  for (const Written& one :
       {Written{"a ticket", TlsContent::kHandshake, ticket, 0, kAll, true},
        Written{"a ticket at another number", TlsContent::kHandshake, ticket, 1, kAll, false},
        Written{"a key update", TlsContent::kHandshake, key_update, 0, kAll, false},
        Written{"data that looks like a ticket", TlsContent::kApplicationData, ticket, 0, kAll,
                false},
        Written{"an alert", TlsContent::kAlert, std::string("\4\0", 2), 0, kAll, false},
        Written{"half a record", TlsContent::kHandshake, ticket, 0, 20, false},
        Written{"a header", TlsContent::kHandshake, ticket, 0, 5, false}}) {
    SCOPED_TRACE(one.what);
    const auto context = context_of_localhost();
    CHECK(SSL_CTX_set_num_tickets(context->ssl(), 0) == 1);
    std::unique_ptr<Pair> pair;
    Act write = [&](SSL* ssl) {
      const TlsSecret secret = pair->client.secret("SERVER_TRAFFIC_SECRET_0");
      TlsEngine engine;
      std::vector<std::byte> record(one.content.size() + kTlsOverheadBytes);
      const Bytes piece = as_bytes(one.content);
      engine.seal(pair->client.suite(), secret, one.sequence, one.type, {&piece, 1}, 0,
                  record.data());
      record.resize(std::min(record.size(), one.bytes_kept));
      BIO_write(SSL_get_wbio(ssl), record.data(), static_cast<int>(record.size()));
    };
    at_finished(*context, write);
    pair = std::make_unique<Pair>(clients.get(), context);
    pair->shake_hands();
    ASSERT_EQ(pair->codec.is_detached(), one.is_taken_over);
    if (!one.is_taken_over) {
      EXPECT_TRUE(pair->codec.handshake()->was_unexpected());
    }
  }
}

TEST(TlsHandshake, IsNotTakenOverWithASecretThatDoesNotOpenTheTickets) {
  const auto clients = client_context();
  const auto context = context_of_localhost();
  Act mislead = [](SSL*) { derive_another("s ap traffic"); };
  at_finished(*context, mislead);
  Pair pair(clients.get(), context);
  pair.shake_hands();
  ASSERT_FALSE(pair.codec.is_detached());
  EXPECT_TRUE(pair.codec.handshake()->was_unexpected());
  pair.client.handshake();
  pair.client.write("hello");
  auto bytes = pair.client.output();
  MutableBytes input = bytes;
  EXPECT_EQ(as_text(pair.codec.next(pair.engine, input, pair.scratch).plaintext), "hello")
      << "OpenSSL goes on with it";
}

TEST(TlsHandshake, TakesItsOwnSecretsThoughOthersAreUnderWay) {
  const auto clients = client_context();
  const auto context = context_of_localhost();
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int i = 0; i < 10; ++i) pairs.push_back(std::make_unique<Pair>(clients.get(), context));
  for (int round = 0; round < 3; ++round) {
    for (const auto& pair : pairs) {
      pair->give(pair->flight());
      derive_another("s ap traffic");  // nobody's
      derive_another("c ap traffic");
    }
  }
  for (const auto& pair : pairs) EXPECT_TRUE(pair->codec.is_detached());
}

TEST(TlsHandshake, WithOpenSslsOwnDerivationsIsNotTakenOver) {
  const auto clients = client_context();
  const auto context = TlsContext::make(
      {.identities = {{localhost().certificate_pem(), localhost().key_pem(), "test.pem"}},
       .detach = false});
  ASSERT_TRUE(context);
  Pair pair(clients.get(), *context);
  pair.shake_hands();
  EXPECT_FALSE(pair.codec.is_detached());
  EXPECT_FALSE(pair.codec.handshake()->was_unexpected());
}

// The client's second flight: change_cipher_spec, and Finished under the handshake key.
TEST(TlsHandshake, AFinishedThatIsWrongFails) {
  const auto clients = client_context();
  const auto context = context_of_localhost();
  Pair pair(clients.get(), context);
  pair.give(pair.flight());
  auto second = pair.flight();
  const TlsSuite suite = pair.client.suite();
  const TlsSecret secret = pair.client.secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET");
  const std::size_t bytes = kTlsOverheadBytes + 4 + traits_of(suite).secret_bytes;
  ASSERT_GT(second.size(), bytes);
  const MutableBytes record = MutableBytes(second).last(bytes);
  const auto inner = pair.engine.open(suite, secret, 0, record);
  ASSERT_TRUE(inner);
  ASSERT_EQ(inner->front(), std::byte{kFinished});
  std::vector<std::byte> message(inner->begin(), inner->end() - 1);
  message.back() ^= std::byte{1};
  const Bytes piece = message;
  pair.engine.seal(suite, secret, 0, TlsContent::kHandshake, {&piece, 1}, 0, record.data());
  EXPECT_EQ(pair.give(second), TlsOpened::Kind::kFailed);
  EXPECT_FALSE(pair.codec.is_established());
}

}  // namespace
}  // namespace holdfast::protocol
