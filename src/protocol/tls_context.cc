#include "protocol/tls_context.h"

#include <fmt/format.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>

#include "base/check.h"
#include "protocol/tls_handshake.h"

namespace holdfast::protocol {
namespace {

// AES-128 first: half the price of a derivation, and 32 bytes of secret. ChaCha20 for those that
// put it first (SSL_OP_PRIORITIZE_CHACHA): machines without AES instructions.
constexpr const char* kSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// TLS 1.2: forward secrecy and AEAD alone (RFC 9325 4.2).
constexpr const char* kTls12Suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::size_t kTicketKeyBytesMax = 128;
// Larger blocks hold messages, not secrets; and what is overwritten costs time.
constexpr std::size_t kCleansedBytesMax = 9 * 1024;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPointer = std::unique_ptr<BIO, Free<BIO_free>>;
using CertificatePointer = std::unique_ptr<X509, Free<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

BioPointer read_only(const std::string& text) {
  return BioPointer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string openssl_error() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

// RFC 7301: one protocol. Who offers others alone gets no answer, and may speak HTTP all the same.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
                    unsigned int in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kOurs, sizeof kOurs - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int choose_identity(SSL* ssl, int*, void* context) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* chosen = static_cast<const TlsContext*>(context)->for_name(name);
  if (chosen == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (chosen != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, chosen);
  return SSL_TLSEXT_ERR_OK;
}

Result<void> load_chain(SSL_CTX* context, const TlsIdentity& identity) {
  const BioPointer bio = read_only(identity.chain_pem);
  const CertificatePointer leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (leaf == nullptr || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return failure(fmt::format("{}: no certificate: {}", identity.name, openssl_error()));
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return failure(fmt::format("{}: {}", identity.name, openssl_error()));
  }
  ERR_clear_error();  // the end of the file
  return {};
}

Result<void> load_key(SSL_CTX* context, const TlsIdentity& identity) {
  const BioPointer bio = read_only(identity.key_pem);
  // A passphrase cannot be asked for: an encrypted key is an error, not a prompt.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  const KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr)
    return failure(fmt::format("the private key of {}: {}", identity.name, openssl_error()));
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return failure(fmt::format("the private key of {} is another certificate's: {}", identity.name,
                               openssl_error()));
  return {};
}

void cleanse_and_free(void* block, const char*, int) {
  if (block == nullptr) return;
  const std::size_t size = malloc_usable_size(block);
  if (size <= kCleansedBytesMax) OPENSSL_cleanse(block, size);
  std::free(block);
}
void* allocate(std::size_t size, const char*, int) { return std::malloc(size); }
void* reallocate(void* block, std::size_t size, const char*, int) {
  if (block == nullptr) return std::malloc(size);
  const std::size_t old_size = malloc_usable_size(block);
  if (size <= old_size) return block;
  void* bigger = std::malloc(size);
  if (bigger == nullptr) return nullptr;
  std::memcpy(bigger, block, old_size);
  cleanse_and_free(block, nullptr, 0);
  return bigger;
}

}  // namespace

bool use_cleansing_allocator() {
  return CRYPTO_set_mem_functions(allocate, reallocate, cleanse_and_free) == 1;
}

TlsIdentity::~TlsIdentity() { OPENSSL_cleanse(key_pem.data(), key_pem.size()); }

void TlsContext::FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
TlsContext::~TlsContext() = default;

Result<TlsContext::Pointer> TlsContext::make_one(const TlsIdentity& identity,
                                                 const TlsPolicy& policy) {
  Pointer context(SSL_CTX_new(TLS_server_method()));
  CHECK(context != nullptr);
  SSL_CTX* ssl = context.get();
  SSL_CTX_set_min_proto_version(ssl, policy.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  CHECK(SSL_CTX_set_ciphersuites(ssl, kSuites) == 1);
  CHECK(SSL_CTX_set_cipher_list(ssl, kTls12Suites) == 1);
  // Tickets hold the session (RFC 8446 4.6.1); we hold none, and take no early data.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 1);
  SSL_CTX_set_max_early_data(ssl, 0);
  SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, nullptr);
  if (policy.detach) SSL_CTX_set_keylog_callback(ssl, TlsHandshake::note_secret);
  if (auto loaded = load_chain(ssl, identity); !loaded) return tl::unexpected(loaded.error());
  if (auto loaded = load_key(ssl, identity); !loaded) return tl::unexpected(loaded.error());
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsPolicy& policy,
                                                           const TlsContext* before) {
  CHECK(!policy.identities.empty());
  std::shared_ptr<TlsContext> result(new TlsContext);
  result->detach_ = policy.detach;
  for (const TlsIdentity& identity : policy.identities) {
    auto one = make_one(identity, policy);
    if (!one) return tl::unexpected(one.error());
    result->contexts_.push_back(std::move(*one));
  }
  SSL_CTX* first = result->ssl();
  SSL_CTX_set_tlsext_servername_callback(first, choose_identity);
  SSL_CTX_set_tlsext_servername_arg(first, result.get());
  if (before != nullptr) {
    std::array<unsigned char, kTicketKeyBytesMax> keys;
    const long size = SSL_CTX_get_tlsext_ticket_keys(before->ssl(), nullptr, 0);
    CHECK(size > 0 && static_cast<std::size_t>(size) <= keys.size());
    SSL_CTX_get_tlsext_ticket_keys(before->ssl(), keys.data(), size);
    SSL_CTX_set_tlsext_ticket_keys(first, keys.data(), size);
    OPENSSL_cleanse(keys.data(), keys.size());
  }
  return std::shared_ptr<const TlsContext>(std::move(result));
}

ssl_ctx_st* TlsContext::for_name(const char* name) const {
  for (const Pointer& context : contexts_) {
    X509* leaf = SSL_CTX_get0_certificate(context.get());
    if (X509_check_host(leaf, name, 0, 0, nullptr) == 1) return context.get();
  }
  return nullptr;
}

}  // namespace holdfast::protocol
