#include "protocol/tls_key_schedule.h"

#include <gtest/gtest.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "protocol/tls_hkdf.h"
#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

// What is asked of "TLS13-KDF"; what is empty is not said.
struct Question {
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  std::string digest = "SHA256";
  std::vector<std::byte> secret = {}, salt = {}, context = {};
  std::string prefix = "tls13 ", label = "c ap traffic";
  std::size_t out_bytes = 32;
};

std::vector<std::byte> random_bytes(std::mt19937& random, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// Nothing: refused.
std::vector<std::byte> answer(const Question& asked, const char* properties) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, properties);
  CHECK(kdf != nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  EVP_KDF_free(kdf);
  Question copy = asked;
  std::vector<OSSL_PARAM> parameters = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &copy.mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, copy.digest.data(), 0)};
  const auto add = [&](const char* name, auto& value) {
    if (!value.empty())
      parameters.push_back(OSSL_PARAM_construct_octet_string(name, value.data(), value.size()));
  };
  add(OSSL_KDF_PARAM_KEY, copy.secret);
  add(OSSL_KDF_PARAM_SALT, copy.salt);
  add(OSSL_KDF_PARAM_DATA, copy.context);
  add(OSSL_KDF_PARAM_PREFIX, copy.prefix);
  add(OSSL_KDF_PARAM_LABEL, copy.label);
  parameters.push_back(OSSL_PARAM_construct_end());
  std::vector<std::byte> out(asked.out_bytes);
  const int done = EVP_KDF_derive(context, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                  parameters.data());
  EVP_KDF_CTX_free(context);
  ERR_clear_error();
  if (done != 1) out.clear();
  return out;
}

std::vector<std::byte> ours(const Question& asked) {
  return answer(asked, tls_key_schedule_properties());
}
std::vector<std::byte> openssls(const Question& asked) { return answer(asked, "provider=default"); }

TEST(TlsKeySchedule, DerivesWhatOpenSslDerives) {
  std::mt19937 random(1);
  for (int i = 0; i < 2'000; ++i) {
    Question asked;
    const bool is_384 = random() % 2 == 0;
    const std::size_t bytes = is_384 ? 48 : 32;
    asked.digest = is_384 ? (random() % 2 == 0 ? "SHA384" : "SHA2-384")
                          : (random() % 2 == 0 ? "SHA256" : "SHA2-256");
    if (random() % 2 == 0) {
      asked.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
      asked.label = "derived";
      asked.out_bytes = bytes;
      if (random() % 2 == 0) asked.secret = random_bytes(random, random() % 2 == 0 ? bytes : 32);
      if (random() % 2 == 0) asked.salt = random_bytes(random, bytes);
    } else {
      asked.label = std::string(1 + random() % 20, 'x');
      asked.secret = random_bytes(random, bytes);
      if (random() % 2 == 0) asked.context = random_bytes(random, bytes);
      asked.out_bytes = 1 + random() % (random() % 10 == 0 ? 255 * bytes : bytes);
    }
    SCOPED_TRACE(testing::Message() << i << ": mode " << asked.mode << ", " << asked.digest << ", "
                                    << asked.out_bytes << " bytes");
    const auto expected = openssls(asked);
    ASSERT_FALSE(expected.empty());
    ASSERT_EQ(ours(asked), expected);
  }
}

TEST(TlsKeySchedule, RefusesWhatNoHandshakeAsks) {
  std::mt19937 random(2);
  const Question good{.secret = random_bytes(random, 32)};
  ASSERT_FALSE(ours(good).empty());
  const auto refused = [&](auto change) {
    Question asked = good;
    change(asked);
    return ours(asked).empty();
  };
  EXPECT_TRUE(refused([](Question& q) { q.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND; }));
  EXPECT_TRUE(refused([](Question& q) { q.digest = "SHA512"; }));
  EXPECT_TRUE(refused([](Question& q) { q.prefix = "dtls13"; }));
  EXPECT_TRUE(refused([](Question& q) { q.secret.clear(); }));
  EXPECT_TRUE(refused([](Question& q) { q.label = std::string(250, 'x'); }));
  EXPECT_TRUE(refused([](Question& q) { q.context.resize(256); }));
  EXPECT_TRUE(refused([](Question& q) { q.out_bytes = 255 * 32 + 1; }));
  EXPECT_TRUE(refused([](Question& q) {
    q.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    q.out_bytes = 31;
  }));
}

TEST(TlsKeySchedule, GivesTheSecretsOfApplicationDataToWhoeverTakesThemOnThisThread) {
  const auto server = [] { return derive_another("s ap traffic"); };
  TlsSecrets first, second;
  server();
  EXPECT_EQ(first.server_bytes, 0);
  {
    const TlsSecretsTaker taker(first);
    derive_another("s hs traffic");
    derive_another("exp master");
    EXPECT_EQ(first.client_bytes + first.server_bytes, 0);
    std::thread([&] { server(); }).join();
    EXPECT_EQ(first.server_bytes, 0) << "another thread's";
    const auto secret = server();
    ASSERT_EQ(first.server_bytes, 32);
    EXPECT_TRUE(std::equal(secret.begin(), secret.end(), first.server.begin()));
    EXPECT_EQ(first.client_bytes, 0);
  }
  {
    const TlsSecretsTaker taker(second);
    const auto secret = derive_another("c ap traffic");
    ASSERT_EQ(second.client_bytes, 32);
    EXPECT_TRUE(std::equal(secret.begin(), secret.end(), second.client.begin()));
  }
  EXPECT_EQ(first.client_bytes, 0);
  EXPECT_EQ(second.server_bytes, 0);
}

// Whose "TLS13-KDF" is found.
std::string provider_for(const char* properties) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, properties);
  if (kdf == nullptr) return "nobody";
  const std::string name = OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf));
  EVP_KDF_free(kdf);
  return name;
}

// In a process of its own, in which it is the first that is asked of OpenSSL.
TEST(TlsKeyScheduleDeathTest, LeavesOpenSslsOwnInForceForEverybodyElse) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto found = [] {
    const char* ours = tls_key_schedule_properties();
    return provider_for(nullptr) + ", " + provider_for(ours);
  };
  EXPECT_EXIT(
      {
        const std::string both = found();
        std::fputs(both.c_str(), stderr);
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "default, holdfast");
}

TEST(TlsSecrets, AreOverwrittenAtTheirEnd) {
  alignas(TlsSecrets) std::array<std::byte, sizeof(TlsSecrets)> memory;
  auto* secrets = new (memory.data()) TlsSecrets;
  secrets->client.fill(std::byte{0x5A});
  secrets->server.fill(std::byte{0x5A});
  secrets->~TlsSecrets();
  EXPECT_EQ(std::count(memory.begin(), memory.end(), std::byte{0x5A}), 0);
}

// RFC 8448 3: the client's handshake traffic secret is made of the handshake secret.
TEST(TlsHkdf, DerivesWhatRfc8448Derives) {
  const auto handshake =
      bytes_of_hex("1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac");
  const auto transcript =
      bytes_of_hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8");
  TlsHkdf hkdf;
  std::vector<std::byte> out(32);
  hkdf.expand_label(TlsDigest::kSha256, handshake, "c hs traffic", transcript, out);
  EXPECT_EQ(out, bytes_of_hex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"));
  hkdf.expand_label(TlsDigest::kSha256, out, "key", {}, MutableBytes(out).first(16));
  EXPECT_EQ(std::vector<std::byte>(out.begin(), out.begin() + 16),
            bytes_of_hex("dbfaa693d1762c5b666af5d950258d01"));
}

TEST(TlsHkdf, ForgetsTheLastSecret) {
  TlsHkdf hkdf;
  const std::vector<std::byte> secret(32, std::byte{7});
  std::vector<std::byte> out(32), again(32);
  hkdf.expand_label(TlsDigest::kSha256, secret, "key", {}, out);
  hkdf.expand_another(TlsDigest::kSha256, "key", again);
  EXPECT_EQ(again, out);
  hkdf.forget(TlsDigest::kSha256);
  EXPECT_DEATH(hkdf.expand_another(TlsDigest::kSha256, "key", again), "");
}

}  // namespace
}  // namespace holdfast::protocol
