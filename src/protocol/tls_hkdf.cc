#include "protocol/tls_hkdf.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

// HkdfLabel (RFC 8446 7.1), and behind it HKDF-Expand's number of a block.
struct Info {
  std::array<unsigned char, 2 + 1 + 255 + 1 + 255 + 1> bytes;
  std::size_t size = 0;

  Info(std::size_t out_bytes, std::string_view label, Bytes context) {
    constexpr std::string_view kPrefix = "tls13 ";
    CHECK(kPrefix.size() + label.size() <= 255 && context.size() <= 255);
    add(static_cast<unsigned char>(out_bytes >> 8));
    add(static_cast<unsigned char>(out_bytes & 0xFF));
    add(static_cast<unsigned char>(kPrefix.size() + label.size()));
    for (const char c : kPrefix) add(static_cast<unsigned char>(c));
    for (const char c : label) add(static_cast<unsigned char>(c));
    add(static_cast<unsigned char>(context.size()));
    for (const std::byte b : context) add(std::to_integer<unsigned char>(b));
    add(0);
  }
  void add(unsigned char byte) { bytes[size++] = byte; }
};

}  // namespace

void TlsHkdf::FreeMac::operator()(evp_mac_ctx_st* mac) const { EVP_MAC_CTX_free(mac); }

TlsHkdf::TlsHkdf() {
  EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  CHECK(hmac != nullptr);
  for (std::size_t i = 0; i < kTlsDigests; ++i) {
    macs_[i].reset(EVP_MAC_CTX_new(hmac));
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         const_cast<char*>(kTlsDigestNames[i]), 0),
        OSSL_PARAM_construct_end()};
    CHECK(macs_[i] != nullptr && EVP_MAC_CTX_set_params(macs_[i].get(), parameters) == 1);
  }
  EVP_MAC_free(hmac);
}

void TlsHkdf::begin(TlsDigest digest, Bytes key) {
  keyed_[static_cast<std::size_t>(digest)] = true;
  CHECK(!key.empty() && EVP_MAC_init(mac(digest), raw(key.data()), key.size(), nullptr) == 1);
}

void TlsHkdf::expand_label(TlsDigest digest, Bytes secret, std::string_view label, Bytes context,
                           MutableBytes out) {
  begin(digest, secret);
  expand(digest, label, context, out);
}

void TlsHkdf::expand_another(TlsDigest digest, std::string_view label, MutableBytes out) {
  CHECK(keyed_[static_cast<std::size_t>(digest)]);
  CHECK(EVP_MAC_init(mac(digest), nullptr, 0, nullptr) == 1);
  expand(digest, label, {}, out);
}

// HKDF-Expand (RFC 5869 2.3): T(n) = HMAC(secret, T(n - 1) | info | n). In a handshake one block is
// all that is ever asked for; what is exported may be longer.
void TlsHkdf::expand(TlsDigest digest, std::string_view label, Bytes context, MutableBytes out) {
  const std::size_t block_bytes = bytes_of(digest);
  CHECK(out.size() <= 255 * block_bytes);
  Info info(out.size(), label, context);
  std::array<unsigned char, kTlsDigestBytesMax> block;
  std::size_t written = 0;
  while (!out.empty()) {
    if (written != 0) {
      CHECK(EVP_MAC_init(mac(digest), nullptr, 0, nullptr) == 1);
      CHECK(EVP_MAC_update(mac(digest), block.data(), written) == 1);
    }
    ++info.bytes[info.size - 1];
    CHECK(EVP_MAC_update(mac(digest), info.bytes.data(), info.size) == 1);
    CHECK(EVP_MAC_final(mac(digest), block.data(), &written, block.size()) == 1);
    CHECK(written == block_bytes);
    const std::size_t taken = std::min(written, out.size());
    std::memcpy(out.data(), block.data(), taken);
    out = out.subspan(taken);
  }
  OPENSSL_cleanse(block.data(), block.size());
}

void TlsHkdf::extract(TlsDigest digest, Bytes salt, Bytes key, MutableBytes out) {
  static constexpr std::array<std::byte, kTlsDigestBytesMax> kZeros{};
  CHECK(out.size() == bytes_of(digest));
  begin(digest, salt.empty() ? Bytes(kZeros).first(bytes_of(digest)) : salt);
  std::size_t written = 0;
  CHECK(EVP_MAC_update(mac(digest), raw(key.data()), key.size()) == 1);
  CHECK(EVP_MAC_final(mac(digest), reinterpret_cast<unsigned char*>(out.data()), &written,
                      out.size()) == 1);
  CHECK(written == out.size());
}

void TlsHkdf::forget(TlsDigest digest) {
  if (!std::exchange(keyed_[static_cast<std::size_t>(digest)], false)) return;
  constexpr std::array<unsigned char, 1> kNoKey = {0};
  CHECK(EVP_MAC_init(mac(digest), kNoKey.data(), kNoKey.size(), nullptr) == 1);
}

}  // namespace holdfast::protocol
