// Our client, and OpenSSL's server.

#include "protocol/tls_client.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "protocol/tls_codec.h"
#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

using Kind = TlsOpened::Kind;

const Identity& localhost() {
  static const Identity identity("localhost");
  return identity;
}

// A certificate, as a file of whom to trust.
class CaFile {
 public:
  explicit CaFile(const Identity& one)
      : path(testing::TempDir() + "tls_client_test_" +
             std::to_string(X509_subject_name_hash(one.certificate.get())) + ".pem") {
    std::FILE* file = std::fopen(path.c_str(), "w");
    CHECK(file != nullptr && PEM_write_X509(file, one.certificate.get()) == 1);
    std::fclose(file);
  }
  ~CaFile() { std::filesystem::remove(path); }
  CaFile(const CaFile&) = delete;
  CaFile& operator=(const CaFile&) = delete;

  const std::string path;
};

class TlsClientTest : public testing::Test {
 protected:
  std::shared_ptr<const TlsClientContext> context(TlsClientPolicy policy = {}) {
    if (policy.name.empty()) policy.name = "localhost";
    if (policy.ca_file.empty()) policy.ca_file = ca_.path;
    auto made = TlsClientContext::make(policy);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return *made;
  }

  SslContextPointer servers_ = server_context(localhost());
  TlsSessions sessions_{4};

 private:
  CaFile ca_{localhost()};
};

// Bytes go between them in pieces of random size.
class Pair {
 public:
  Pair(std::shared_ptr<const TlsClientContext> context, SSL_CTX* servers,
       TlsSessions* sessions = nullptr, bool resume = false, unsigned seed = 1)
      : server(servers, true), random_(seed) {
    codec.begin_client(std::move(context), sessions, resume);
  }
  ~Pair() { codec.end(engine); }

  // Until nobody has anything more to say.
  void run() {
    for (int quiet = 0; quiet < 2;) {
      if (!server.is_done()) server.handshake();
      heard_by_server += server.read();
      const auto out = server.output();
      to_client.insert(to_client.end(), out.begin(), out.end());
      quiet = !to_client.empty() || codec.has_something_to_say() ? 0 : quiet + 1;
      give_client();
      if (codec.has_something_to_say()) say({});
    }
  }
  void say(std::string_view text) {
    const Bytes piece = as_bytes(text);
    std::vector<std::byte> out;
    codec.seal(engine, {&piece, text.empty() ? 0u : 1u}, out);
    server.input(out);
  }
  // As HTTP would: the client asks, the server answers.
  void talk() {
    run();
    say("hello");
    run();
    EXPECT_EQ(heard_by_server, "hello");
    server.write("good day");
    run();
    EXPECT_EQ(heard_by_client, "good day");
    heard_by_server.clear();
    heard_by_client.clear();
  }

  SslEnd server;
  TlsCodec codec;
  TlsEngine engine;
  std::string heard_by_server, heard_by_client;
  Kind end = Kind::kMore;
  TlsFailure failure;
  bool was_resumed = false;
  std::vector<std::byte> to_client;

 private:
  void give_client() {
    while (!to_client.empty() && end == Kind::kMore) {
      const std::size_t size = std::min<std::size_t>(to_client.size(), 1 + random_() % 700);
      const auto rest = to_client.begin() + static_cast<std::ptrdiff_t>(size);
      std::vector<std::byte> piece(to_client.begin(), rest);
      to_client.erase(to_client.begin(), rest);
      MutableBytes input = piece;
      while (end == Kind::kMore) {
        const TlsOpened opened = codec.next(engine, input, scratch_);
        heard_by_client += as_text(opened.plaintext);
        if (opened.kind == Kind::kMore) break;
        if (opened.kind == Kind::kEstablished) was_resumed = opened.resumed;
        if (opened.kind == Kind::kData || opened.kind == Kind::kNothing ||
            opened.kind == Kind::kEstablished)
          continue;
        end = opened.kind;
        if (codec.handshake() != nullptr) failure = codec.handshake()->failure();
      }
    }
    to_client.clear();
  }

  std::mt19937 random_;
  std::vector<std::byte> scratch_;
};

TEST_F(TlsClientTest, TakesOverWithTheFirstAnswerInEverySuiteHoweverTheBytesAreSplit) {
  for (const char* suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    CHECK(SSL_CTX_set_ciphersuites(servers_.get(), suite) == 1);
    for (unsigned seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(std::string(suite) + " " + std::to_string(seed));
      Pair pair(context(), servers_.get(), &sessions_, false, seed);
      pair.run();
      ASSERT_TRUE(pair.codec.is_established());
      EXPECT_FALSE(pair.codec.is_detached()) << "tickets may be on their way";
      pair.talk();
      ASSERT_TRUE(pair.codec.is_detached());
      EXPECT_EQ(pair.codec.handshake(), nullptr) << "OpenSSL's object is gone";
      pair.talk();
    }
  }
  EXPECT_EQ(sessions_.size(), 4u) << "no more than it was given room for";
}

TEST_F(TlsClientTest, SaysWhomItMeansAndThatItSpeaksHttp) {
  Pair pair(context(), servers_.get());
  static std::string offered;
  SSL_CTX_set_alpn_select_cb(
      servers_.get(),
      [](SSL*, const unsigned char**, unsigned char*, const unsigned char* in, unsigned size,
         void*) {
        offered.assign(reinterpret_cast<const char*>(in), size);
        return SSL_TLSEXT_ERR_NOACK;
      },
      nullptr);
  pair.talk();
  EXPECT_STREQ(SSL_get_servername(pair.server.ssl(), TLSEXT_NAMETYPE_host_name), "localhost");
  EXPECT_EQ(offered, "\x08http/1.1");
}

TEST_F(TlsClientTest, ResumesWithATicketAndTakesOverAgain) {
  Pair first(context(), servers_.get(), &sessions_);
  first.talk();
  EXPECT_FALSE(first.was_resumed);
  for (int i = 0; i < 3; ++i) {
    Pair again(context(), servers_.get(), &sessions_, true);
    again.talk();
    EXPECT_TRUE(again.was_resumed);
    EXPECT_TRUE(again.codec.is_detached());
  }
  Pair fresh(context(), servers_.get(), &sessions_, false);
  fresh.talk();
  EXPECT_FALSE(fresh.was_resumed) << "where it was not asked to";
}

TEST_F(TlsClientTest, ASessionOfAConnectionThatBrokeIsStillGood) {
  {
    Pair(context({.detach = false}), servers_.get(), &sessions_).talk();
  }
  Pair again(context(), servers_.get(), &sessions_, true);
  again.talk();
  EXPECT_TRUE(again.was_resumed);
}

TEST_F(TlsClientTest, StaysWithOpenSslForTls12AndWhereItIsTold) {
  for (const TlsClientPolicy& policy :
       {TlsClientPolicy{.versions = TlsVersions::k12Alone}, TlsClientPolicy{.detach = false}}) {
    Pair pair(context(policy), servers_.get(), &sessions_);
    pair.talk();
    EXPECT_FALSE(pair.codec.is_detached());
    ASSERT_NE(pair.codec.handshake(), nullptr);
    EXPECT_FALSE(pair.codec.handshake()->was_unexpected());
    pair.talk();
  }
  Pair again(context({.versions = TlsVersions::k12Alone}), servers_.get(), &sessions_, true);
  again.talk();
  EXPECT_TRUE(again.codec.is_established());
}

TEST_F(TlsClientTest, GetsAsMuchRoomAsOpenSslsRecordsTake) {
  const auto padded = context();
  CHECK(SSL_CTX_set_block_padding(padded->ssl(), 4096) == 1);
  Pair pair(padded, servers_.get());
  pair.run();
  pair.say("ten bytes.");
  EXPECT_GT(BIO_ctrl_pending(SSL_get_rbio(pair.server.ssl())), 4096u);
  pair.run();
  EXPECT_EQ(pair.heard_by_server, "ten bytes.");
}

TEST_F(TlsClientTest, StaysWithOpenSslWhereKeysChangeBeforeTheFirstAnswer) {
  Pair pair(context(), servers_.get());
  pair.run();
  pair.say("hello");
  pair.run();
  CHECK(SSL_key_update(pair.server.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
  pair.server.write("good day");
  pair.run();
  EXPECT_EQ(pair.heard_by_client, "good day");
  EXPECT_FALSE(pair.codec.is_detached());
  EXPECT_TRUE(pair.codec.handshake()->was_unexpected());
}

// Of either direction: what was written and read so far tells.
TEST_F(TlsClientTest, StaysWithOpenSslWhereASecretIsNotTheOneInUse) {
  CHECK(SSL_CTX_set_ciphersuites(servers_.get(), "TLS_AES_128_GCM_SHA256") == 1);
  for (const char* label : {"c ap traffic", "s ap traffic"}) {
    SCOPED_TRACE(label);
    const auto misled = context();
    CHECK(SSL_CTX_set_ex_data(misled->ssl(), 0, const_cast<char*>(label)) == 1);
    SSL_CTX_set_info_callback(misled->ssl(), [](const SSL* ssl, int where, int) {
      if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
        derive_another(static_cast<const char*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0)));
    });
    Pair pair(misled, servers_.get());
    pair.talk();
    ASSERT_FALSE(pair.codec.is_detached());
    EXPECT_TRUE(pair.codec.handshake()->was_unexpected());
  }
}

TEST_F(TlsClientTest, PassesOverTicketsThatComeLater) {
  Pair pair(context(), servers_.get(), &sessions_);
  pair.talk();
  ASSERT_TRUE(pair.codec.is_detached());
  for (int i = 0; i < 3; ++i) {
    CHECK(SSL_new_session_ticket(pair.server.ssl()) == 1);
    pair.talk();
  }
}

TEST_F(TlsClientTest, FollowsRandomTalkWithKeyUpdates) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    Pair pair(context(), servers_.get(), nullptr, false, seed);
    pair.talk();
    ASSERT_TRUE(pair.codec.is_detached());
    std::mt19937 random(seed);
    std::string to_server, to_client;
    for (int i = 0; i < 100; ++i) {
      if (random() % 5 == 0) {
        SSL_key_update(pair.server.ssl(),
                       random() % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
      }
      const std::string text(1 + random() % (random() % 10 == 0 ? 40'000 : 200),
                             static_cast<char>('a' + i % 26));
      if (random() % 2 == 0) {
        pair.server.write(text);
        to_client += text;
      } else {
        pair.say(text);
        to_server += text;
      }
      pair.run();
    }
    EXPECT_EQ(pair.heard_by_server, to_server);
    EXPECT_EQ(pair.heard_by_client, to_client);
  }
}

TEST_F(TlsClientTest, TrustsNobodyWhoIsNotNamedOrNotSigned) {
  Pair other_name(context({.name = "other.example"}), servers_.get());
  other_name.run();
  EXPECT_EQ(other_name.end, Kind::kFailed);
  EXPECT_EQ(other_name.failure.kind, TlsFailure::Kind::kUnverified);
  EXPECT_EQ(other_name.failure.text, "hostname mismatch");

  const Identity stranger("localhost");
  const SslContextPointer strangers = server_context(stranger);
  Pair unsigned_one(context(), strangers.get());
  unsigned_one.run();
  EXPECT_EQ(unsigned_one.failure.kind, TlsFailure::Kind::kUnverified);
  EXPECT_NE(unsigned_one.failure.text.find("self-signed"), std::string::npos)
      << unsigned_one.failure.text;
  EXPECT_FALSE(unsigned_one.server.is_done());

  Pair credulous(context({.verify = false}), strangers.get());
  credulous.talk();
  EXPECT_TRUE(credulous.codec.is_detached());
}

TEST_F(TlsClientTest, TakesAWildcardForAWholeLabelAlone) {
  for (const auto& [pattern, is_named] :
       {std::pair{"*.example.com", true}, std::pair{"w*.example.com", false}}) {
    Identity identity("wild");
    identity.extend(NID_subject_alt_name, ("DNS:" + std::string(pattern)).c_str());
    CHECK(X509_sign(identity.certificate.get(), identity.key.get(), EVP_sha256()) > 0);
    const CaFile trusted(identity);
    const SslContextPointer servers = server_context(identity);
    Pair pair(context({.name = "www.example.com", .ca_file = trusted.path}), servers.get());
    pair.run();
    EXPECT_EQ(pair.codec.is_established(), is_named) << pattern;
    if (!is_named) {
      EXPECT_EQ(pair.failure.text, "hostname mismatch");
    }
  }
}

TEST_F(TlsClientTest, TellsTheAlertOfAServerThatRefuses) {
  SSL_CTX_set_max_proto_version(servers_.get(), TLS1_2_VERSION);
  Pair pair(context({.versions = TlsVersions::k13Alone}), servers_.get());
  pair.run();
  EXPECT_EQ(pair.end, Kind::kFailed);
  EXPECT_EQ(pair.failure.kind, TlsFailure::Kind::kAlert);
  EXPECT_EQ(pair.failure.text, "protocol version");
}

TEST(TlsClientContext, SaysWhatCannotBeUsed) {
  const auto missing = TlsClientContext::make({.name = "localhost", .ca_file = "/nowhere.pem"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nowhere.pem"), std::string::npos);
  EXPECT_TRUE(TlsClientContext::make({.name = "127.0.0.1"}));
  const std::string long_name(256, 'a');
  for (const bool verify : {true, false}) {
    const auto too_long = TlsClientContext::make({.name = long_name, .verify = verify});
    ASSERT_FALSE(too_long);
    EXPECT_EQ(too_long.error().message, "a name of 256 bytes is longer than any server's");
  }
  const auto longest = TlsClientContext::make({.name = long_name.substr(1), .verify = false});
  ASSERT_TRUE(longest);
  TlsCodec codec;
  codec.begin_client(*longest, nullptr, false);
  EXPECT_TRUE(codec.has_something_to_say());
  const auto nameless = TlsClientContext::make({});
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().message, "without a name of the server, any certificate would do");
  EXPECT_TRUE(TlsClientContext::make({.verify = false}));
}

TEST(TlsSessions, AreGivenOutInTurnAndTheOldestMakesRoom) {
  TlsSessions sessions(2);
  EXPECT_EQ(sessions.next(), nullptr);
  SSL_SESSION* made[3];
  for (SSL_SESSION*& one : made) sessions.keep(one = SSL_SESSION_new());
  EXPECT_EQ(sessions.size(), 2u);
  const SSL_SESSION* first = sessions.next();
  const SSL_SESSION* second = sessions.next();
  EXPECT_NE(first, second);
  EXPECT_EQ(sessions.next(), first);
  for (const SSL_SESSION* one : {first, second}) EXPECT_TRUE(one == made[1] || one == made[2]);
}

}  // namespace
}  // namespace holdfast::protocol
