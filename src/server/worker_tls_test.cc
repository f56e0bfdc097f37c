// TLS through a whole worker, without a kernel: OpenSSL's client on the other side.

#include <linux/capability.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "server/worker_tls_scene.h"

namespace holdfast::server {
namespace {

// Detached or not.
class WorkerTls : public WorkerTlsScene, public testing::WithParamInterface<bool> {
 protected:
  WorkerTls() : WorkerTlsScene(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Tls, WorkerTls, testing::Values(true, false));

TEST_P(WorkerTls, ServesAWebSocketHoweverItsBytesArrive) {
  int descriptor = 5;
  for (const std::size_t piece : {1u, 7u, 600u, 100'000u}) {
    SCOPED_TRACE(piece);
    open(++descriptor, piece);
    for (const std::size_t size : {0u, 5u, 20'000u}) {
      clients_[descriptor]->write(frame(std::string(size, 'a')));
      give(descriptor, piece);
      worker_->turn();
      EXPECT_EQ(take(descriptor).size(), size + (size < 126 ? 2 : 4));
    }
  }
  EXPECT_EQ(counters_.tls_established.read(), 4u);
  EXPECT_EQ(counters_.tls_attached.read(), GetParam() ? 0u : 4u);
  EXPECT_EQ(counters_.tls_unexpected.read(), 0u);
}

TEST_P(WorkerTls, SealsWhatASlowPeerIsSentOnceAndInOrder) {
  open(6);
  std::string expected;
  loop_.limit(6, 0);
  for (int i = 0; i < 30; ++i) {
    worker_->publish("news", MessageKind::kText,
                     as_bytes(std::string(1000, static_cast<char>('a' + i % 26))));
    worker_->turn();
  }
  const std::uint64_t waiting = counters_.queued_bytes.read();
  EXPECT_GT(waiting, 30'000u);
  std::string heard;
  for (int i = 0; i < 200 && counters_.queued_bytes.read() > 0; ++i) {
    loop_.limit(6, 777);
    loop_.make_writable(6);
    worker_->turn();
    heard += take(6);
  }
  EXPECT_EQ(counters_.queued_bytes.read(), 0u);
  ASSERT_EQ(heard.size(), 30 * 1004u);
  for (std::size_t i = 0; i < 30; ++i)
    EXPECT_EQ(heard.substr(i * 1004 + 4, 1000), std::string(1000, static_cast<char>('a' + i % 26)));
}

TEST_P(WorkerTls, EndsWithCloseNotifyOnBothSides) {
  open(6);
  clients_[6]->write(frame("\x03\xe8", protocol::Opcode::kClose));
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6), "\x88\x02\x03\xe8");
  EXPECT_NE(SSL_get_shutdown(clients_[6]->ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(loop_.shut.count(6), 1u);
  open(7);
  SSL_shutdown(clients_[7]->ssl());
  give(7);
  worker_->turn();
  take(7);
  EXPECT_NE(SSL_get_shutdown(clients_[7]->ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(loop_.closed.count(7), 1u);
}

TEST_P(WorkerTls, SaysAnAlertToWhatIsNotAuthenticAndEnds) {
  open(6);
  clients_[6]->write(frame("x"));
  auto bytes = clients_[6]->output();
  bytes.back() ^= std::byte{1};
  loop_.receive(6, as_text(bytes));
  worker_->turn();
  EXPECT_EQ(counters_.tls_failed.read(), 1u);
  EXPECT_EQ(counters_.of(Ending::kViolation).read(), 1u);
  ERR_clear_error();
  take(6);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  ERR_clear_error();
  EXPECT_EQ(loop_.shut.count(6), 1u);
}

TEST_P(WorkerTls, AnswersAKeyUpdateAlthoughNobodySpeaks) {
  open(6);
  SSL_key_update(clients_[6]->ssl(), SSL_KEY_UPDATE_REQUESTED);
  clients_[6]->handshake();
  give(6);
  worker_->turn();
  // OpenSSL, where it is kept, waits for the next message.
  EXPECT_EQ(loop_.sent[6].empty(), !GetParam());
  take(6);
  clients_[6]->write(frame("under new keys"));
  give(6);
  worker_->turn();
  EXPECT_EQ(take(6).substr(2), "under new keys");
}

TEST_P(WorkerTls, TellsTheHandlerWhoseCertificateItIs) {
  TlsSource mutual(context(GetParam(), true));
  worker_->add_listener(kListener + 1, {.tls = &mutual});
  open(6);
  const protocol::Identity alice("alice", false, &authority());
  CHECK(SSL_CTX_use_certificate(contexts_.get(), alice.certificate.get()) == 1);
  CHECK(SSL_CTX_use_PrivateKey(contexts_.get(), alice.key.get()) == 1);
  listener_ = kListener + 1;
  open(7);
  listener_ = kListener;
  open(8);
  EXPECT_EQ(echo_->subjects, (std::vector<std::string>{"nobody", "CN=alice", "nobody"}));
  clients_[7]->write(frame("hello"));
  give(7);
  worker_->turn();
  EXPECT_EQ(take(7).substr(2), "hello");
  EXPECT_EQ(worker_->client_certificate(7), nullptr) << "an idle peer keeps none";
  worker_.reset();  // before what it was given
}

// What OpenSSL's client would not do: asks for another handshake, again and again, with the keys of
// the one that it has (TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, RFC 5246 6.3, RFC 5288 3).
class Renegotiator {
 public:
  Renegotiator(SSL* ssl, std::uint64_t sequence) : sequence_(sequence) {
    std::array<unsigned char, 48> master;
    std::array<unsigned char, 32> client, server;
    CHECK(SSL_SESSION_get_master_key(SSL_get_session(ssl), master.data(), master.size()) == 48);
    SSL_get_client_random(ssl, client.data(), client.size());
    SSL_get_server_random(ssl, server.data(), server.size());
    std::string seed = "key expansion", digest = "SHA256";
    seed.append(server.begin(), server.end()).append(client.begin(), client.end());
    const std::array<OSSL_PARAM, 4> parameters = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master.data(), master.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()),
        OSSL_PARAM_construct_end()};
    EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr);
    EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
    CHECK(EVP_KDF_derive(context, block_.data(), block_.size(), parameters.data()) == 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
  }
  std::string ask() {
    const std::string hello("\1\0\0\0", 4);  // it is refused by its type
    std::string number;
    for (int shift = 56; shift >= 0; shift -= 8)
      number += static_cast<char>(sequence_ >> shift & 0xFF);
    ++sequence_;
    const std::string salt(block_.begin() + 32, block_.begin() + 36);
    const std::string nonce = salt + number;
    const std::string aad = number + std::string("\x16\3\3\0\4", 5);
    std::array<unsigned char, 20> sealed;
    int size = 0;
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nullptr, block_.data(), raw(nonce));
    EVP_EncryptUpdate(cipher, nullptr, &size, raw(aad), 13);
    EVP_EncryptUpdate(cipher, sealed.data(), &size, raw(hello), 4);
    EVP_EncryptFinal_ex(cipher, sealed.data() + 4, &size);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, sealed.data() + 4);
    EVP_CIPHER_CTX_free(cipher);
    return std::string("\x16\3\3\0\x1c", 5) + number + std::string(sealed.begin(), sealed.end());
  }

 private:
  static const unsigned char* raw(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  }
  std::uint64_t sequence_;
  std::array<unsigned char, 40> block_;  // keys of client and server, then their salts
};

TEST_P(WorkerTls, DropsWhoeverAsksForMoreHandshakesAndReadsNoRefusal) {
  TlsSource old(context(true, false, true));
  worker_->add_listener(kListener + 1, {.tls = &old});
  listener_ = kListener + 1;
  CHECK(SSL_CTX_set_max_proto_version(contexts_.get(), TLS1_2_VERSION) == 1);
  CHECK(SSL_CTX_set_cipher_list(contexts_.get(), "ECDHE-ECDSA-AES128-GCM-SHA256") == 1);
  open(6);
  Renegotiator asks(clients_[6]->ssl(), 2);  // behind its Finished and its request
  loop_.sent[6].clear();
  loop_.receive(6, asks.ask());
  worker_->turn();
  EXPECT_NE(loop_.sent[6], "") << "no_renegotiation";
  loop_.limit(6, 0);
  worker_->publish("news", MessageKind::kText, as_bytes("what it does not read"));
  worker_->turn();
  int asked = 0;
  for (; asked < 10'000 && counters_.tls_failed.read() == 0; ++asked) {
    loop_.receive(6, asks.ask());
    worker_->turn();
  }
  EXPECT_GT(asked, 1'000) << "a ticket may be longer than a few of them";
  EXPECT_LT(asked, 3'000);
  EXPECT_EQ(counters_.of(Ending::kViolation).read(), 1u);
  worker_.reset();  // before what it was given
}

// As a process without privilege under RLIMIT_MEMLOCK 0.
class NothingMayBeLocked {
 public:
  NothingMayBeLocked() {
    CHECK(::syscall(SYS_capget, &header_, before_.data()) == 0);
    auto without = before_;
    without[0].effective &= ~(1u << CAP_IPC_LOCK);
    CHECK(::syscall(SYS_capset, &header_, without.data()) == 0);
    CHECK(::getrlimit(RLIMIT_MEMLOCK, &limit_) == 0);
    const rlimit none{0, limit_.rlim_max};
    CHECK(::setrlimit(RLIMIT_MEMLOCK, &none) == 0);
  }
  ~NothingMayBeLocked() {
    ::setrlimit(RLIMIT_MEMLOCK, &limit_);
    ::syscall(SYS_capset, &header_, before_.data());
  }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> before_{};
  rlimit limit_{};
};

TEST_P(WorkerTls, SaysThatItsSecretsMayComeIntoSwap) {
  const NothingMayBeLocked limits;
  open(6);
  EXPECT_EQ(counters_.tls_unlocked.read(), 1u);
}

TEST(OutboxOfTls, KeepsWhatIsSealedWhateverElseIsDropped) {
  Outbox outbox;
  outbox.push_sealed(SharedBytes::copy_of(as_bytes("record")));
  outbox.push(SharedBytes::copy_of(as_bytes("message")), 0, true, 0);
  outbox.drop_unbegun();
  ASSERT_EQ(outbox.entries().size(), 1u);
  EXPECT_EQ(as_text(outbox.entries().front().rest()), "record");
  EXPECT_FALSE(outbox.drop_oldest());
}

// These three were found by the simulator.
TEST_P(WorkerTls, TakesHalfARecordForASignOfLife) {
  open(6);
  loop_.sent[6].clear();
  for (int i = 0; i < 60 && loop_.sent[6].empty(); ++i) {
    loop_.advance(seconds(1));
    worker_->turn();
  }
  ASSERT_EQ(take(6), std::string("\x89\0", 2));
  clients_[6]->write(frame("", protocol::Opcode::kPong));
  const auto pong = clients_[6]->output();
  loop_.advance(seconds(6));
  loop_.receive(6, as_text(Bytes(pong).first(pong.size() / 2)));
  worker_->turn();
  EXPECT_EQ(counters_.pongs_missed.read(), 0u);
  EXPECT_EQ(loop_.closed.count(6), 0u);
}

TEST_P(WorkerTls, SendsWhatAHandshakeSaysWhileTheLastFlightStillWaits) {
  // Its first guess is refused (HelloRetryRequest), and it answers before all of that is out.
  CHECK(SSL_CTX_set1_groups_list(contexts_.get(), "P-521:P-256") == 1);
  SslEnd& client = connect(6);
  loop_.limit(6, 0);
  give(6);
  worker_->turn();
  std::vector<std::byte> answer;
  for (int i = 0; i < 1'000 && answer.empty(); ++i) {
    loop_.limit(6, 1);
    loop_.make_writable(6);
    worker_->turn();
    take(6);
    answer = client.output();
  }
  ASSERT_GT(counters_.queued_bytes.read(), 0u);
  loop_.unlimit(6);
  loop_.make_writable(6);
  loop_.receive(6, as_text(answer));
  worker_->turn();
  take(6);
  EXPECT_TRUE(client.is_done());
}

TEST_P(WorkerTls, CountsOneThatLeavesBeforeItsHandshakeWasAnswered) {
  connect(6);
  give(6);
  loop_.end(6);
  worker_->turn();
  EXPECT_EQ(counters_.of(Refusal::kLeft).read(), 1u);
}

}  // namespace
}  // namespace holdfast::server
