#include "protocol/tls_codec.h"

#include <gtest/gtest.h>
#include <openssl/conf.h>
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory_resource>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

using Kind = TlsOpened::Kind;

TlsIdentity identity_of(const Identity& one, std::string name = "test.pem") {
  return {one.certificate_pem(), one.key_pem(), std::move(name)};
}

std::shared_ptr<const TlsContext> context_of(const TlsPolicy& policy) {
  auto context = TlsContext::make(policy);
  EXPECT_TRUE(context) << (context ? "" : context.error().message);
  return *context;
}

const Identity& localhost() {
  static const Identity identity("localhost");
  return identity;
}

// Our server and OpenSSL's client; bytes go between them in pieces of random size.
class Pair {
 public:
  Pair(SSL_CTX* clients, std::shared_ptr<const TlsContext> context, unsigned seed = 1,
       const char* properties = nullptr)
      : client(clients, false),
        engine(TlsEngine::kKeptDefault, std::pmr::new_delete_resource(), properties),
        random_(seed) {
    codec.begin(std::move(context));
  }
  ~Pair() { codec.end(engine); }

  // Until nobody has anything more to say. What the server heard is added to `heard`.
  void run() {
    for (int quiet = 0; quiet < 2;) {
      if (!client.is_done()) client.handshake();
      said += client.read();
      const auto out = client.output();
      to_server.insert(to_server.end(), out.begin(), out.end());
      const bool moved = !to_server.empty() || codec.has_something_to_say();
      quiet = moved ? 0 : quiet + 1;
      give_server();
      take_from_server();
    }
  }
  void say(std::string_view text) {
    const Bytes piece = as_bytes(text);
    std::vector<std::byte> out;
    codec.seal(engine, {&piece, 1}, out);
    client.input(out);
  }

  SslEnd client;
  TlsCodec codec;
  TlsEngine engine;
  std::string heard, said;
  Kind end = Kind::kMore;
  bool was_resumed = false;
  std::vector<std::byte> to_server;

  void take_from_server() {
    if (!codec.has_something_to_say()) return;
    std::vector<std::byte> out;
    codec.seal(engine, {}, out);
    client.input(out);
  }

 private:
  void give_server() {
    while (!to_server.empty() && end == Kind::kMore) {
      const std::size_t size = std::min<std::size_t>(to_server.size(), 1 + random_() % 700);
      std::vector<std::byte> piece(to_server.begin(),
                                   to_server.begin() + static_cast<std::ptrdiff_t>(size));
      to_server.erase(to_server.begin(), to_server.begin() + static_cast<std::ptrdiff_t>(size));
      MutableBytes input = piece;
      while (true) {
        const TlsOpened opened = codec.next(engine, input, scratch_);
        heard += as_text(opened.plaintext);
        if (opened.kind == Kind::kMore) break;
        if (opened.kind == Kind::kEstablished) was_resumed = opened.resumed;
        if (opened.kind == Kind::kData || opened.kind == Kind::kNothing ||
            opened.kind == Kind::kEstablished)
          continue;
        end = opened.kind;
        break;
      }
    }
    to_server.clear();
  }

  std::mt19937 random_;
  std::vector<std::byte> scratch_;
};

void expect_talk(Pair& pair) {
  pair.client.write("hello");
  pair.run();
  EXPECT_EQ(pair.heard, "hello");
  pair.say("good day");
  pair.run();
  EXPECT_EQ(pair.said, "good day");
}

TEST(TlsCodec, TakesOverFromOpenSslWithEverySuiteHoweverTheBytesAreSplit) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  for (const char* suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    CHECK(SSL_CTX_set_ciphersuites(clients.get(), suite) == 1);
    for (unsigned seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(std::string(suite) + " " + std::to_string(seed));
      Pair pair(clients.get(), context, seed);
      pair.run();
      ASSERT_TRUE(pair.client.is_done());
      EXPECT_TRUE(pair.codec.is_detached());
      EXPECT_EQ(pair.codec.handshake(), nullptr) << "OpenSSL's object is gone";
      expect_talk(pair);
    }
  }
}

TEST(TlsCodec, PrefersTheSuiteThatIsCheapestToHold) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  Pair pair(clients.get(), context);
  pair.run();
  EXPECT_EQ(pair.client.suite(), TlsSuite::kAes128Gcm);
}

TEST(TlsCodec, StaysWithOpenSslWhereItIsTold) {
  const auto context = context_of({.identities = {identity_of(localhost())}, .detach = false});
  const auto clients = client_context();
  Pair pair(clients.get(), context);
  pair.run();
  EXPECT_TRUE(pair.codec.is_established());
  EXPECT_FALSE(pair.codec.is_detached());
  ASSERT_NE(pair.codec.handshake(), nullptr);
  EXPECT_FALSE(pair.codec.handshake()->was_unexpected());
  expect_talk(pair);
}

TEST(TlsCodec, GetsAsMuchRoomAsOpenSslsRecordsTake) {
  for (const bool detach : {true, false}) {
    const auto context = context_of({.identities = {identity_of(localhost())}, .detach = detach});
    CHECK(SSL_CTX_set_block_padding(context->ssl(), 4096) == 1);
    const auto clients = client_context();
    Pair pair(clients.get(), context);
    pair.run();
    ASSERT_TRUE(pair.codec.is_attached());
    const std::string_view text = "ten bytes.";
    const Bytes piece = as_bytes(text);
    std::vector<std::byte> out;
    const MutableBytes sealed = pair.codec.seal(pair.engine, {&piece, 1}, [&](std::size_t size) {
      out.resize(size);
      return out.data();
    });
    EXPECT_GT(sealed.size(), 4096u);
    EXPECT_LE(sealed.size(), out.size());
    pair.client.input(sealed);
    pair.run();
    EXPECT_EQ(pair.said, text);
  }
}

// A KeyUpdate in two records (RFC 8446 5.1), between which OpenSSL says nothing.
class TlsCodecBetweenHalves : public testing::Test {
 protected:
  TlsCodecBetweenHalves() { pair_.run(); }
  void hear(std::string_view half) {
    pair_.to_server.resize(half.size() + kTlsOverheadBytes);
    const Bytes piece = as_bytes(half);
    engine_.seal(pair_.client.suite(), pair_.client.secret("CLIENT_TRAFFIC_SECRET_0"), sequence_++,
                 TlsContent::kHandshake, {&piece, 1}, 0, pair_.to_server.data());
    pair_.run();
  }

  const SslContextPointer clients_ = client_context();
  Pair pair_{clients_.get(),
             context_of({.identities = {identity_of(localhost())}, .detach = false})};

 private:
  TlsEngine engine_;
  std::uint64_t sequence_ = 0;
};

TEST_F(TlsCodecBetweenHalves, WhatIsSaidIsKeptAndSaidInOrder) {
  pair_.say("before ");
  hear(std::string_view("\x18\0\0\1", 4));
  pair_.say("between ");
  pair_.say("the halves ");
  EXPECT_EQ(pair_.codec.unsaid_bytes(), 19u);
  pair_.run();
  EXPECT_EQ(pair_.said, "before ");
  hear("\1");  // and asks for one of ours
  EXPECT_EQ(pair_.codec.unsaid_bytes(), 0u);
  pair_.say("behind");
  pair_.run();
  EXPECT_EQ(pair_.said, "before between the halves behind");
  EXPECT_EQ(pair_.end, Kind::kMore);
}

TEST_F(TlsCodecBetweenHalves, NoMoreIsKeptThanHasAReason) {
  hear(std::string_view("\x18\0\0\1", 4));
  pair_.say(std::string(TlsHandshake::kUnsaidBytesMax, 'x'));
  EXPECT_EQ(pair_.codec.unsaid_bytes(), TlsHandshake::kUnsaidBytesMax);
  pair_.say("x");
  EXPECT_EQ(pair_.codec.unsaid_bytes(), 0u);
  hear(std::string_view("\0", 1));
  EXPECT_EQ(pair_.end, Kind::kFailed);
  pair_.say("never behind a gap");
  pair_.run();
  EXPECT_EQ(pair_.said, "");
}

// As every context gets it that OpenSSL makes.
TEST(TlsCodec, TakesOverWhateverPaddingTheMachinesSettingsAskFor) {
  const std::string path = testing::TempDir() + "tls_codec_test.cnf";
  std::ofstream(path) << "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\n"
                         "system_default = padded\n[padded]\nRecordPadding = 4096\n";
  CHECK(CONF_modules_load_file(path.c_str(), nullptr, 0) == 1);
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  CONF_modules_finish();
  std::filesystem::remove(path);
  Pair pair(clients.get(), context);
  pair.run();
  EXPECT_TRUE(pair.codec.is_detached());
  expect_talk(pair);
}

using ProviderPointer = std::unique_ptr<OSSL_PROVIDER, TlsPeerFree<OSSL_PROVIDER_unload>>;

// What a FIPS provider is to us: OpenSSL's own AES, and no ChaCha20.
const char* properties_without_chacha() {
  static OSSL_PROVIDER* const openssls = OSSL_PROVIDER_try_load(nullptr, "default", 1);
  static std::vector<ProviderPointer> held;  // to the end of the process
  static std::vector<OSSL_ALGORITHM> algorithms;
  const auto start = [](const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** ours,
                        void** context) {
    static const auto query = [](void*, int operation, int* no_store) -> const OSSL_ALGORITHM* {
      *no_store = 0;
      return operation == OSSL_OP_CIPHER ? algorithms.data() : nullptr;
    };
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION,
         reinterpret_cast<void (*)()>(
             static_cast<const OSSL_ALGORITHM* (*)(void*, int, int*)>(query))},
        {0, nullptr}};
    *ours = functions;
    *context = OSSL_PROVIDER_get0_provider_ctx(openssls);
    return 1;
  };
  if (algorithms.empty()) {
    int no_store = 0;
    const OSSL_ALGORITHM* all = OSSL_PROVIDER_query_operation(openssls, OSSL_OP_CIPHER, &no_store);
    for (; all->algorithm_names != nullptr; ++all) {
      const std::string_view names = all->algorithm_names;
      if (names.find("AES-128-GCM") == names.npos && names.find("AES-256-GCM") == names.npos)
        continue;
      algorithms.push_back({all->algorithm_names, "provider=aes", all->implementation, nullptr});
    }
    algorithms.push_back({nullptr, nullptr, nullptr, nullptr});
    CHECK(OSSL_PROVIDER_add_builtin(nullptr, "aes", start) == 1);
    held.emplace_back(OSSL_PROVIDER_try_load(nullptr, "aes", 1));
    CHECK(held.back() != nullptr);
  }
  return "provider=aes";
}

TEST(TlsCodec, StaysWithOpenSslWhereItsSuiteIsNotToBeHad) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  for (const char* suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    SCOPED_TRACE(suite);
    CHECK(SSL_CTX_set_ciphersuites(clients.get(), suite) == 1);
    Pair pair(clients.get(), context, 1, properties_without_chacha());
    pair.run();
    ASSERT_TRUE(pair.codec.is_established());
    const bool is_known = pair.client.suite() != TlsSuite::kChaCha20Poly1305;
    EXPECT_EQ(pair.codec.is_detached(), is_known);
    EXPECT_TRUE(is_known || pair.codec.handshake()->was_unexpected());
    expect_talk(pair);
  }
}

TEST(TlsCodec, SpeaksTls12OnlyWhereItIsAllowed) {
  const auto clients = client_context();
  SSL_CTX_set_max_proto_version(clients.get(), TLS1_2_VERSION);
  Pair refused(clients.get(), context_of({.identities = {identity_of(localhost())}}));
  refused.run();
  EXPECT_FALSE(refused.client.is_done());
  EXPECT_EQ(refused.end, Kind::kFailed);
  Pair pair(clients.get(),
            context_of({.identities = {identity_of(localhost())}, .allow_tls12 = true}));
  pair.run();
  ASSERT_TRUE(pair.client.is_done());
  EXPECT_FALSE(pair.codec.is_detached());
  expect_talk(pair);
}

TEST(TlsCodec, ResumesWithTicketsAndTakesOverAgain) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  Pair first(clients.get(), context);
  first.run();
  expect_talk(first);
  EXPECT_FALSE(first.was_resumed);
  const SslSessionPointer session(SSL_get1_session(first.client.ssl()));
  ASSERT_TRUE(SSL_SESSION_is_resumable(session.get()));
  SSL_shutdown(first.client.ssl());
  // Other certificates in the same place: tickets of before stay good.
  const auto renewed =
      TlsContext::make({.identities = {identity_of(localhost())}}, context->tickets());
  for (const auto& one : {context, *renewed}) {
    Pair again(clients.get(), one);
    SSL_set_session(again.client.ssl(), session.get());
    again.run();
    EXPECT_TRUE(again.was_resumed);
    EXPECT_TRUE(again.codec.is_detached());
    EXPECT_EQ(SSL_session_reused(again.client.ssl()), 1);
    expect_talk(again);
  }
}

TEST(TlsCodec, TakesOverAfterAHelloRetryRequest) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  // The client guesses a group that OpenSSL's server has, but another; so it guesses wrong.
  CHECK(SSL_CTX_set1_groups_list(clients.get(), "ffdhe2048:X25519") == 1);
  Pair pair(clients.get(), context);
  pair.run();
  ASSERT_TRUE(pair.client.is_done());
  EXPECT_TRUE(pair.codec.is_detached());
  expect_talk(pair);
}

TEST(TlsCodec, KeepsToTheFragmentThatWasAgreedOn) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  CHECK(SSL_CTX_set_tlsext_max_fragment_length(clients.get(), TLSEXT_max_fragment_length_512) == 1);
  Pair pair(clients.get(), context);
  pair.run();
  EXPECT_TRUE(pair.codec.is_detached());
  const std::string text(5000, 'x');
  pair.say(text);
  pair.run();
  EXPECT_EQ(pair.said, text);
}

TEST(TlsCodec, FollowsRandomTalkWithPaddingAndKeyUpdates) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  SSL_CTX_set_block_padding(clients.get(), 64);
  for (unsigned seed = 0; seed < 10; ++seed) {
    Pair pair(clients.get(), context, seed);
    pair.run();
    ASSERT_TRUE(pair.codec.is_detached());
    std::mt19937 random(seed);
    std::string to_server, to_client;
    for (int i = 0; i < 100; ++i) {
      if (random() % 5 == 0) {
        SSL_key_update(pair.client.ssl(),
                       random() % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
      }
      std::string text(1 + random() % (random() % 10 == 0 ? 40'000 : 200),
                       static_cast<char>('a' + i % 26));
      if (random() % 2 == 0) {
        pair.client.write(text);
        to_server += text;
      } else {
        pair.say(text);
        to_client += text;
      }
      pair.run();
    }
    EXPECT_EQ(pair.heard, to_server);
    EXPECT_EQ(pair.said, to_client);
  }
}

TEST(TlsCodec, TellsHowTheConnectionEnded) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  for (const bool detach : {true, false}) {
    Pair pair(clients.get(),
              context_of({.identities = {identity_of(localhost())}, .detach = detach}));
    pair.run();
    pair.codec.end_writing(pair.engine, TlsAlert::kCloseNotify);
    pair.take_from_server();
    pair.client.read();
    EXPECT_NE(SSL_get_shutdown(pair.client.ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
    SSL_shutdown(pair.client.ssl());
    pair.run();
    EXPECT_EQ(pair.end, Kind::kClosed);
  }
}

TEST(TlsCodec, RefusesWhatIsNoTls) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  TlsEngine engine;
  TlsCodec codec;
  codec.begin(context);
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  MutableBytes input(reinterpret_cast<std::byte*>(text.data()), text.size());
  std::vector<std::byte> scratch;
  EXPECT_EQ(codec.next(engine, input, scratch).kind, Kind::kFailed);
  codec.end(engine);
}

TEST(TlsContext, ChoosesTheCertificateByName) {
  const Identity other("other.example");
  const auto context = context_of({.identities = {identity_of(localhost()), identity_of(other)}});
  const auto clients = client_context();
  for (const auto& [asked, got] :
       {std::pair{"other.example", "other.example"}, std::pair{"localhost", "localhost"},
        std::pair{"nobody.example", "localhost"}}) {
    Pair pair(clients.get(), context);
    SSL_set_tlsext_host_name(pair.client.ssl(), asked);
    pair.run();
    EXPECT_TRUE(pair.codec.is_detached());
    char name[64] = {};
    X509* peer = SSL_get0_peer_certificate(pair.client.ssl());
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    EXPECT_STREQ(name, got);
  }
}

// RFC 7301: what is not ours is not chosen, and is no reason to refuse anybody.
TEST(TlsContext, SpeaksHttp11WhateverElseIsOffered) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto chosen = [&](std::string_view offered) {
    const auto clients = client_context();
    CHECK(SSL_CTX_set_alpn_protos(clients.get(),
                                  reinterpret_cast<const unsigned char*>(offered.data()),
                                  static_cast<unsigned>(offered.size())) == 0);
    Pair pair(clients.get(), context);
    pair.run();
    EXPECT_TRUE(pair.client.is_done());
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(pair.client.ssl(), &name, &size);
    return std::string(reinterpret_cast<const char*>(name), size);
  };
  EXPECT_EQ(chosen("\x02h2\x08http/1.1"), "http/1.1");
  EXPECT_EQ(chosen("\x02h2"), "");
}

TEST(TlsCodec, BearsAThousandKeyUpdatesInARowAndNoMore) {
  const auto context = context_of({.identities = {identity_of(localhost())}});
  const auto clients = client_context();
  Pair pair(clients.get(), context);
  pair.run();
  const auto update = [&](int times) {
    for (int i = 0; i < times; ++i) {
      CHECK(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
      pair.client.handshake();
    }
    pair.run();
  };
  update(TlsRecords::kKeyUpdatesMax);
  expect_talk(pair);
  update(TlsRecords::kKeyUpdatesMax);
  EXPECT_EQ(pair.end, Kind::kMore) << "data between them begins another row";
  update(1);
  EXPECT_EQ(pair.end, Kind::kFailed);
}

TEST(TlsTickets, AreGoodWithWhoeverHasTheKeyAndNoLongerThanTheyLive) {
  const auto make = [](const std::shared_ptr<TlsTickets>& tickets) {
    return *TlsContext::make({.identities = {identity_of(localhost())}}, tickets);
  };
  const std::string old_key = std::string(107, 'A') + "=", new_key = std::string(106, 'B') + "A=";
  const auto one = std::make_shared<TlsTickets>(std::chrono::seconds(1));
  const auto other = std::make_shared<TlsTickets>(std::chrono::seconds(1));
  one->share(*parse_ticket_keys(old_key));
  other->share(*parse_ticket_keys(new_key + "\n" + old_key));
  const auto clients = client_context();
  Pair first(clients.get(), make(one));
  first.run();
  expect_talk(first);
  const SslSessionPointer session(SSL_get1_session(first.client.ssl()));
  SSL_shutdown(first.client.ssl());
  const auto come_again = [&](const std::shared_ptr<TlsTickets>& tickets) {
    // So that the client itself does not find it too old.
    SSL_SESSION_set_time(session.get(), static_cast<long>(std::time(nullptr)));
    Pair again(clients.get(), make(tickets));
    SSL_set_session(again.client.ssl(), session.get());
    again.run();
    EXPECT_TRUE(again.codec.is_detached());
    expect_talk(again);
    return again.was_resumed;
  };
  EXPECT_TRUE(come_again(one));
  EXPECT_TRUE(come_again(other)) << "the key that sealed is the second one there";
  EXPECT_FALSE(come_again(std::make_shared<TlsTickets>(std::chrono::seconds(1))));
  other->share(*parse_ticket_keys(new_key));
  EXPECT_FALSE(come_again(other)) << "the key was taken out";
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_FALSE(come_again(one)) << "its time is over, although the key is there";
}

TEST(TlsTickets, AreGoodUnderTheSameTermsAlone) {
  const auto tickets = std::make_shared<TlsTickets>(std::chrono::hours(1));
  const auto make = [&](TlsPolicy policy) {
    policy.identities = {identity_of(localhost())};  // a certificate may be another
    return *TlsContext::make(policy, tickets);
  };
  const std::string best = "ECDHE-ECDSA-AES256-GCM-SHA384", other = "ECDHE-ECDSA-AES128-GCM-SHA256";
  const TlsPolicy old{.allow_tls12 = true, .tls12_suites = best + ":" + other};
  const TlsPolicy narrow{.allow_tls12 = true, .tls12_suites = other};
  const TlsPolicy newest, fewer{.suites = "TLS_AES_128_GCM_SHA256"}, one_group{.groups = "X25519"};
  struct Way {
    const TlsPolicy& given;
    const TlsPolicy& shown;
    int version;
    bool is_resumed;
  };
  for (const Way& way :
       {Way{old, old, TLS1_2_VERSION, true}, Way{old, narrow, TLS1_2_VERSION, false},
        Way{newest, newest, TLS1_3_VERSION, true}, Way{newest, fewer, TLS1_3_VERSION, false},
        Way{newest, one_group, TLS1_3_VERSION, false}, Way{newest, old, TLS1_3_VERSION, false}}) {
    SCOPED_TRACE(way.given.tls12_suites + " " + way.shown.tls12_suites + " " + way.shown.suites +
                 " " + way.shown.groups);
    const auto clients = client_context();
    SSL_CTX_set_max_proto_version(clients.get(), way.version);
    Pair first(clients.get(), make(way.given));
    first.run();
    expect_talk(first);
    const SslSessionPointer session(SSL_get1_session(first.client.ssl()));
    SSL_shutdown(first.client.ssl());
    Pair again(clients.get(), make(way.shown));
    SSL_set_session(again.client.ssl(), session.get());
    again.run();
    EXPECT_EQ(again.was_resumed, way.is_resumed);
    expect_talk(again);
    if (way.version == TLS1_2_VERSION) {
      EXPECT_EQ(SSL_get_cipher_name(again.client.ssl()), way.is_resumed ? best : other);
    }
  }
}

// A server that asks, and clients that have something to show.
class ClientCertificates : public testing::Test {
 protected:
  static std::shared_ptr<const TlsContext> server(TlsClientCertificates rule,
                                                  std::shared_ptr<TlsTickets> tickets = nullptr) {
    auto context = TlsContext::make({.identities = {identity_of(localhost())},
                                     .client_certificates = rule,
                                     .client_authorities_pem = authority().certificate_pem()},
                                    std::move(tickets));
    EXPECT_TRUE(context);
    return *context;
  }
  static const Identity& authority() {
    static const Identity identity("our authority");
    return identity;
  }
  static SslContextPointer client_with(const Identity& one) {
    auto clients = client_context();
    CHECK(SSL_CTX_use_certificate(clients.get(), one.certificate.get()) == 1);
    CHECK(SSL_CTX_use_PrivateKey(clients.get(), one.key.get()) == 1);
    return clients;
  }
  // Our authority's list of those, as PEM, which is good for so many seconds.
  static std::string revocations(std::vector<const Identity*> revoked, long seconds) {
    const CrlPointer list(X509_CRL_new());
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(authority().certificate.get()));
    const TimePointer now(X509_gmtime_adj(nullptr, -60)), next(X509_gmtime_adj(nullptr, seconds));
    X509_CRL_set1_lastUpdate(list.get(), now.get());
    X509_CRL_set1_nextUpdate(list.get(), next.get());
    for (const Identity* one : revoked) {
      X509_REVOKED* entry = X509_REVOKED_new();
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->certificate.get()));
      X509_REVOKED_set_revocationDate(entry, now.get());
      X509_CRL_add0_revoked(list.get(), entry);
    }
    CHECK(X509_CRL_sign(list.get(), authority().key.get(), EVP_sha256()) > 0);
    return pem_text([&](BIO* bio) { PEM_write_bio_X509_CRL(bio, list.get()); });
  }
  const Identity alice_{"alice", false, &authority()};
};

TEST_F(ClientCertificates, AreHandedOnAndForgottenByADetachedConnection) {
  Identity named("bob", false, &authority());
  named.extend(NID_subject_alt_name, "DNS:bob.example,URI:spiffe://example/bob,IP:127.0.0.1");
  CHECK(X509_sign(named.certificate.get(), authority().key.get(), EVP_sha256()) > 0);
  const auto clients = client_with(named);
  Pair pair(clients.get(), server(TlsClientCertificates::kRequired));
  pair.run();
  ASSERT_TRUE(pair.codec.is_detached());
  ASSERT_NE(pair.codec.client_certificate(), nullptr);
  EXPECT_EQ(pair.codec.client_certificate()->subject, "CN=bob");
  EXPECT_EQ(pair.codec.client_certificate()->names,
            (std::vector<std::string>{"DNS:bob.example", "URI:spiffe://example/bob"}));
  EXPECT_EQ(pair.codec.client_certificate()->fingerprint.size(), 64u);
  expect_talk(pair);
  EXPECT_NE(pair.codec.client_certificate(), nullptr) << "talk does not lose it";
  pair.codec.forget_client_certificate();
  EXPECT_EQ(pair.codec.client_certificate(), nullptr);
}

TEST_F(ClientCertificates, AreAskedForAsTheRuleSays) {
  using Rule = TlsClientCertificates;
  const Identity stranger("mallory"), ended("eve", false, &authority(), -30);
  for (const auto& [rule, who, comes_in] :
       {std::tuple{Rule::kOff, static_cast<const Identity*>(nullptr), true},
        {Rule::kOptional, nullptr, true},
        {Rule::kRequired, nullptr, false},
        {Rule::kOff, &alice_, true},
        {Rule::kOptional, &alice_, true},
        {Rule::kRequired, &alice_, true},
        {Rule::kOff, &stranger, true},
        {Rule::kOptional, &stranger, false},
        {Rule::kRequired, &stranger, false},
        {Rule::kOptional, &ended, false},
        {Rule::kRequired, &ended, false}}) {
    SCOPED_TRACE(static_cast<int>(rule));
    const auto clients = who == nullptr ? client_context() : client_with(*who);
    Pair pair(clients.get(), server(rule));
    pair.run();
    EXPECT_EQ(pair.codec.is_detached(), comes_in);
    EXPECT_EQ(pair.end, comes_in ? Kind::kMore : Kind::kFailed);
    const bool is_known = comes_in && who == &alice_ && rule != Rule::kOff;
    EXPECT_EQ(pair.codec.client_certificate() != nullptr, is_known);
    ERR_clear_error();
  }
}

TEST_F(ClientCertificates, AreKnownAgainByATicketUnderTheSameRuleAlone) {
  const auto clients = client_with(alice_);
  const auto tickets = std::make_shared<TlsTickets>(std::chrono::hours(1));
  Pair first(clients.get(), server(TlsClientCertificates::kOptional, tickets));
  first.run();
  expect_talk(first);
  const SslSessionPointer session(SSL_get1_session(first.client.ssl()));
  SSL_shutdown(first.client.ssl());
  const auto come_again = [&](const std::shared_ptr<const TlsContext>& context) {
    Pair again(clients.get(), context);
    SSL_set_session(again.client.ssl(), session.get());
    again.run();
    EXPECT_TRUE(again.codec.is_detached());
    EXPECT_NE(again.codec.client_certificate(), nullptr);
    return again.was_resumed;
  };
  EXPECT_TRUE(come_again(server(TlsClientCertificates::kOptional, tickets)));
  EXPECT_FALSE(come_again(server(TlsClientCertificates::kRequired, tickets)))
      << "a ticket of a laxer rule brings nobody in";
  const auto others = TlsContext::make(
      {.identities = {identity_of(localhost())},
       .client_certificates = TlsClientCertificates::kOptional,
       .client_authorities_pem = authority().certificate_pem() + Identity("new").certificate_pem()},
      tickets);
  EXPECT_FALSE(come_again(*others)) << "nor one that other authorities stood for";
}

TEST_F(ClientCertificates, EndWithTheirDateThoughTheTicketLivesOn) {
  const Identity brief("carol", false, &authority(), 2);
  const auto clients = client_with(brief);
  const auto context = server(TlsClientCertificates::kOptional);
  Pair first(clients.get(), context);
  first.run();
  expect_talk(first);
  const SslSessionPointer session(SSL_get1_session(first.client.ssl()));
  SSL_shutdown(first.client.ssl());
  const auto come_again = [&] {
    Pair again(clients.get(), context);
    SSL_set_session(again.client.ssl(), session.get());
    again.run();
    ERR_clear_error();
    return again.codec.is_established();
  };
  EXPECT_TRUE(come_again());
  while (X509_cmp_current_time(X509_get0_notAfter(brief.certificate.get())) > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_FALSE(come_again());
}

// Those above them, and the lists of what was revoked.
TEST_F(ClientCertificates, EndWithWhatTheyStandOnThoughTheTicketLivesOn) {
  Identity between("between", false, &authority(), 2);
  between.extend(NID_basic_constraints, "critical,CA:TRUE");
  CHECK(X509_sign(between.certificate.get(), authority().key.get(), EVP_sha256()) > 0);
  const Identity dave("dave", false, &between);
  const auto daves = client_with(dave), alices = client_with(alice_);
  CHECK(SSL_CTX_add1_chain_cert(daves.get(), between.certificate.get()) == 1);
  const auto brief = TlsContext::make(
      {.identities = {identity_of(localhost())},
       .client_certificates = TlsClientCertificates::kRequired,
       .client_authorities_pem = authority().certificate_pem() + revocations({}, 2)});
  ASSERT_TRUE(brief);
  struct Case {
    SSL_CTX* clients;
    std::shared_ptr<const TlsContext> context;
    SslSessionPointer session = nullptr;
    // In, and resumed.
    std::pair<bool, bool> come() {
      Pair pair(clients, context);
      if (session != nullptr) SSL_set_session(pair.client.ssl(), session.get());
      pair.run();
      const std::pair outcome(pair.codec.is_established(), pair.was_resumed);
      if (outcome.first) {
        expect_talk(pair);
        session.reset(SSL_get1_session(pair.client.ssl()));
        SSL_shutdown(pair.client.ssl());
      }
      ERR_clear_error();
      return outcome;
    }
  };
  Case cases[] = {{daves.get(), server(TlsClientCertificates::kRequired)}, {alices.get(), *brief}};
  for (Case& one : cases) {
    EXPECT_EQ(one.come(), std::pair(true, false));
    EXPECT_EQ(one.come(), std::pair(true, true));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  for (Case& one : cases) EXPECT_EQ(one.come(), std::pair(true, true)) << "the next one's ticket";
  std::this_thread::sleep_for(std::chrono::milliseconds(2200));
  for (Case& one : cases) EXPECT_EQ(one.come(), std::pair(false, false));
}

TEST_F(ClientCertificates, ThatWereRevokedAreRefused) {
  Identity bob("bob", false, &authority());
  ASN1_INTEGER_set(X509_get_serialNumber(bob.certificate.get()), 7);
  CHECK(X509_sign(bob.certificate.get(), authority().key.get(), EVP_sha256()) > 0);
  const auto context = TlsContext::make(
      {.identities = {identity_of(localhost())},
       .client_certificates = TlsClientCertificates::kRequired,
       .client_authorities_pem = authority().certificate_pem() + revocations({&bob}, 3600)});
  ASSERT_TRUE(context);
  const auto alices = client_with(alice_), bobs = client_with(bob);
  Pair taken(alices.get(), *context), refused(bobs.get(), *context);
  refused.run();
  EXPECT_FALSE(refused.codec.is_established());
  taken.run();
  EXPECT_TRUE(taken.codec.is_established());
}

TEST(TlsContext, OffersNoSuiteThatIsWeakAndOnlyTheGroupsItIsTold) {
  for (const char* weak : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ALL"}) {
    const auto context =
        TlsContext::make({.identities = {identity_of(localhost())}, .tls12_suites = weak});
    ASSERT_FALSE(context) << weak;
    EXPECT_NE(context.error().message.find("forward secrecy"), std::string::npos);
  }
  EXPECT_FALSE(TlsContext::make({.identities = {identity_of(localhost())}, .groups = "nonsense"}));
  const auto clients = client_context();
  CHECK(SSL_CTX_set1_groups_list(clients.get(), "ffdhe2048") == 1);
  Pair pair(clients.get(), context_of({.identities = {identity_of(localhost())}}));
  pair.run();
  EXPECT_FALSE(pair.codec.is_established());
}

TEST(TlsContext, TellsWhenCertificatesEnd) {
  const auto context = context_of({.identities = {identity_of(localhost(), "a.pem")}});
  ASSERT_EQ(context->certificates().size(), 1u);
  EXPECT_EQ(context->certificates()[0].name, "a.pem");
  EXPECT_EQ(context->certificates()[0].subject, "CN=localhost");
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  EXPECT_NEAR(static_cast<double>(context->certificates()[0].not_after - now), 3600, 60);
}

}  // namespace
}  // namespace holdfast::protocol
