#include "protocol/tls_context.h"

#include <fmt/format.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <cstring>
#include <ctime>

#include "base/check.h"
#include "protocol/tls_certificate.h"
#include "protocol/tls_key_schedule.h"

namespace holdfast::protocol {
namespace {

constexpr std::chrono::hours kTicketLifetime{2};
// A client's certificate and whoever signed it; more has no honest reason.
constexpr long kClientChainBytesMax = 32 * 1024;
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

void free_all(STACK_OF(X509_INFO) * all) { sk_X509_INFO_pop_free(all, X509_INFO_free); }
using InfosPointer = std::unique_ptr<STACK_OF(X509_INFO), Free<free_all>>;

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

KeyPointer read_key(const TlsIdentity& identity) {
  const BioPointer bio = read_only(identity.key_pem);
  // A passphrase cannot be asked for: an encrypted key is an error, not a prompt.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  return KeyPointer(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
}

Result<void> agree_on_suites(SSL_CTX* context, const TlsPolicy& policy) {
  if (SSL_CTX_set_ciphersuites(context, policy.suites.c_str()) != 1)
    return failure(
        fmt::format("the suites '{}' are not known: {}", policy.suites, openssl_error()));
  if (SSL_CTX_set1_groups_list(context, policy.groups.c_str()) != 1)
    return failure(fmt::format("the groups '{}' are not known", policy.groups));
  if (SSL_CTX_set_cipher_list(context, policy.tls12_suites.c_str()) != 1)
    return failure(fmt::format("no suite of TLS 1.2 is among '{}'", policy.tls12_suites));
  const STACK_OF(SSL_CIPHER)* ciphers = SSL_CTX_get_ciphers(context);
  for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
    const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(ciphers, i);
    const int exchange = SSL_CIPHER_get_kx_nid(cipher);
    // What TLS 1.3 has stands in the same list.
    if ((exchange == NID_kx_ecdhe || exchange == NID_kx_any) && SSL_CIPHER_is_aead(cipher) == 1)
      continue;
    return failure(fmt::format("{} has no forward secrecy or no AEAD; leave it out",
                               SSL_CIPHER_get_name(cipher)));
  }
  return {};
}

// Who may sign for clients. Their names are told to clients (RFC 8446 4.2.4), which choose by them.
Result<void> load_authorities(SSL_CTX* context, const std::string& text) {
  const BioPointer bio = read_only(text);
  const InfosPointer infos(PEM_X509_INFO_read_bio(bio.get(), nullptr, nullptr, nullptr));
  if (infos == nullptr) return failure("cannot be read: " + openssl_error());
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int authorities = 0;
  for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
    const X509_INFO* info = sk_X509_INFO_value(infos.get(), i);
    if (info->crl != nullptr) {
      CHECK(X509_STORE_add_crl(store, info->crl) == 1);
      X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    if (info->x509 == nullptr) continue;
    CHECK(X509_STORE_add_cert(store, info->x509) == 1);
    CHECK(SSL_CTX_add_client_CA(context, info->x509) == 1);
    ++authorities;
  }
  ERR_clear_error();
  if (authorities == 0) return failure("there is no certificate in it");
  return {};
}

Result<void> ask_for_certificates(SSL_CTX* context, const TlsPolicy& policy) {
  if (policy.client_certificates == TlsClientCertificates::kOff) return {};
  if (auto loaded = load_authorities(context, policy.client_authorities_pem); !loaded)
    return failure("the clients' authorities: " + loaded.error().message);
  const bool is_required = policy.client_certificates == TlsClientCertificates::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  SSL_CTX_set_max_cert_list(context, kClientChainBytesMax);
  return {};
}

// A ticket is good where it would be given again alone: under the same rule and the same
// authorities (and revocations) for clients, and the same terms. It brings its suite along,
// whatever another listener agrees to. Else OpenSSL does a full handshake.
void bind_tickets_to_terms(SSL_CTX* context, const TlsPolicy& policy) {
  const bool asks = policy.client_certificates != TlsClientCertificates::kOff;
  const std::string terms = fmt::format(
      "{}\n{}\n{}\n{}\n{}\n{}", static_cast<int>(policy.client_certificates), policy.allow_tls12,
      policy.suites, policy.tls12_suites, policy.groups, asks ? policy.client_authorities_pem : "");
  std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH> digest;
  unsigned int size = 0;
  CHECK(EVP_Digest(terms.data(), terms.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  CHECK(SSL_CTX_set_session_id_context(context, digest.data(), size) == 1);
}

// OpenSSL reads a certificate whatever stands where its time should be.
Result<TlsCertificateTerm> term_of(const X509* leaf, const std::string& name) {
  std::tm end{};
  const bool is_time = ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) == 1;
  ERR_clear_error();
  if (!is_time) return failure(fmt::format("{}: the end of its validity cannot be read", name));
  return TlsCertificateTerm{name, subject_text(leaf), timegm(&end)};
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

void leave_out_padding(ssl_ctx_st* context) {
  CHECK(SSL_CTX_set_block_padding(context, 0) == 1);
  SSL_CTX_set_record_padding_callback(context, nullptr);
}

void cleanse(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

TlsIdentity::~TlsIdentity() { cleanse(key_pem); }

struct TlsContext::Loaded {
  TlsCertificateTerm term;
  CertificatePointer leaf;
  std::vector<CertificatePointer> chain;
  KeyPointer key;

  static Result<Loaded> from(const TlsIdentity& identity);
  Result<void> give_to(SSL_CTX* context) const;
};

Result<TlsContext::Loaded> TlsContext::Loaded::from(const TlsIdentity& identity) {
  Loaded loaded;
  const BioPointer bio = read_only(identity.chain_pem);
  loaded.leaf.reset(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (loaded.leaf == nullptr)
    return failure(fmt::format("{}: no certificate: {}", identity.name, openssl_error()));
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    loaded.chain.emplace_back(next);
  // Only the end of the file is the end of the chain: with half of it, clients that do not know the
  // rest by themselves come no more.
  const unsigned long end = ERR_peek_last_error();
  if (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
    return failure(fmt::format("{}: certificate {} of the chain: {}", identity.name,
                               loaded.chain.size() + 2, openssl_error()));
  ERR_clear_error();
  auto term = term_of(loaded.leaf.get(), identity.name);
  if (!term) return tl::unexpected(term.error());
  loaded.term = std::move(*term);
  loaded.key = read_key(identity);
  if (loaded.key == nullptr)
    return failure(fmt::format("the private key of {}: {}", identity.name, openssl_error()));
  return loaded;
}

Result<void> TlsContext::Loaded::give_to(SSL_CTX* context) const {
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return failure(fmt::format("{}: no certificate: {}", term.name, openssl_error()));
  for (const CertificatePointer& next : chain) {
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1)
      return failure(fmt::format("{}: {}", term.name, openssl_error()));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return failure(fmt::format("the private key of {} is another certificate's: {}", term.name,
                               openssl_error()));
  return {};
}

void TlsContext::FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
TlsContext::~TlsContext() = default;

Result<TlsContext::Pointer> TlsContext::make_for(const Loaded& identity, const TlsPolicy& policy) {
  const char* properties = policy.detach ? tls_key_schedule_properties() : nullptr;
  Pointer context(SSL_CTX_new_ex(nullptr, properties, TLS_server_method()));
  CHECK(context != nullptr);
  SSL_CTX* ssl = context.get();
  leave_out_padding(ssl);
  SSL_CTX_set_min_proto_version(ssl, policy.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  if (auto agreed = agree_on_suites(ssl, policy); !agreed) return tl::unexpected(agreed.error());
  // Tickets hold the session (RFC 8446 4.6.1); we hold none, and take no early data.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 1);
  SSL_CTX_set_max_early_data(ssl, 0);
  tickets_->serve(ssl);
  SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, nullptr);
  if (auto given = identity.give_to(ssl); !given) return tl::unexpected(given.error());
  if (auto asked = ask_for_certificates(ssl, policy); !asked) return tl::unexpected(asked.error());
  bind_tickets_to_terms(ssl, policy);
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsPolicy& policy,
                                                           std::shared_ptr<TlsTickets> tickets) {
  auto one = make_many(1, policy, std::move(tickets));
  if (!one) return tl::unexpected(one.error());
  return std::move(one->front());
}

Result<TlsContexts> TlsContext::make_many(std::size_t count, const TlsPolicy& policy,
                                          std::shared_ptr<TlsTickets> tickets) {
  CHECK(count > 0 && !policy.identities.empty());
  if (tickets == nullptr) tickets = std::make_shared<TlsTickets>(kTicketLifetime);
  std::vector<Loaded> identities;
  for (const TlsIdentity& identity : policy.identities) {
    auto loaded = Loaded::from(identity);
    if (!loaded) return tl::unexpected(loaded.error());
    identities.push_back(std::move(*loaded));
  }
  TlsContexts contexts;
  for (std::size_t i = 0; i < count; ++i) {
    auto one = make_one(identities, policy, tickets);
    if (!one) return tl::unexpected(one.error());
    contexts.push_back(std::move(*one));
  }
  return contexts;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make_one(
    std::span<const Loaded> identities, const TlsPolicy& policy,
    std::shared_ptr<TlsTickets> tickets) {
  std::shared_ptr<TlsContext> result(new TlsContext);
  result->tickets_ = std::move(tickets);
  result->detach_ = policy.detach;
  result->allow_tls12_ = policy.allow_tls12;
  result->asks_for_certificates_ = policy.client_certificates != TlsClientCertificates::kOff;
  for (const Loaded& identity : identities) {
    auto one = result->make_for(identity, policy);
    if (!one) return tl::unexpected(one.error());
    result->contexts_.push_back(std::move(*one));
    result->certificates_.push_back(identity.term);
  }
  SSL_CTX* first = result->ssl();
  SSL_CTX_set_tlsext_servername_callback(first, choose_identity);
  SSL_CTX_set_tlsext_servername_arg(first, result.get());
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
