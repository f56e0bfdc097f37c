#include "simulator/tls_scene.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <string>

#include "base/check.h"
#include "simulator/foreseen_keys.h"
#include "simulator/tls_end.h"

namespace holdfast::simulator {
namespace {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// A certificate that signs itself, the same in every process: Ed25519, because its signatures are
// all of one length, and dates that do not move.
struct Identity {
  Key key{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
  Certificate certificate{X509_new()};

  explicit Identity(long serial) {
    X509* x509 = certificate.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial);
    CHECK(ASN1_TIME_set_string(X509_getm_notBefore(x509), "200101000000Z") == 1);
    CHECK(ASN1_TIME_set_string(X509_getm_notAfter(x509), "491231235959Z") == 1);
    X509_set_pubkey(x509, key.get());
    X509_NAME* subject = X509_get_subject_name(x509);
    const std::string common_name = TlsScene::kName + std::to_string(serial);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(x509, subject);
    const std::string names = std::string("DNS:") + TlsScene::kName;
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    CHECK(extension != nullptr && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    CHECK(X509_sign(x509, key.get(), nullptr) > 0);
  }

  protocol::TlsIdentity as_files() const {
    const Bio chain(BIO_new(BIO_s_mem()));
    const Bio secret(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_X509(chain.get(), certificate.get()) == 1);
    CHECK(PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                   nullptr) == 1);
    return {text_of(chain), text_of(secret), "simulated.pem"};
  }
};

const std::array<Identity, 2>& identities() {
  static const std::array<Identity, 2> both = [] {
    foresee_keys(1);
    return std::array<Identity, 2>{Identity(1), Identity(2)};
  }();
  return both;
}

std::vector<std::shared_ptr<const protocol::TlsContext>> make_contexts(
    const Scenario& scenario, const std::shared_ptr<protocol::TlsTickets>& tickets) {
  std::vector<std::shared_ptr<const protocol::TlsContext>> contexts;
  for (const Identity& identity : identities()) {
    protocol::TlsPolicy policy;
    policy.identities.push_back(identity.as_files());
    policy.detach = scenario.detaches;
    policy.allow_tls12 = scenario.allows_tls12;
    auto context = protocol::TlsContext::make(policy, tickets);
    CHECK(context);
    contexts.push_back(std::move(*context));
  }
  return contexts;
}

// Draws the keys that follow from the run's seed, once the certificates are there.
std::shared_ptr<protocol::TlsTickets> make_tickets(std::uint64_t seed) {
  identities();
  foresee_keys(seed);
  return std::make_shared<protocol::TlsTickets>(std::chrono::hours(2));
}

}  // namespace

void TlsScene::FreeSession::operator()(ssl_session_st* session) const { SSL_SESSION_free(session); }

TlsScene::TlsScene(const Scenario& scenario, std::uint64_t seed)
    : tickets_(make_tickets(seed)),
      contexts_(make_contexts(scenario, tickets_)),
      source_(contexts_.front()) {}

void TlsScene::change_certificate() {
  present_ = (present_ + 1) % contexts_.size();
  source_.replace({contexts_[present_]});
}

ssl_ctx_st* TlsScene::clients() {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    CHECK(made != nullptr);
    for (const Identity& identity : identities())
      CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(made), identity.certificate.get()) == 1);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(made, TlsEnd::note_session);
    return made;
  }();
  return context;
}

void TlsScene::keep(ssl_session_st* session) {
  if (sessions_.size() < kSessionsMax) {
    sessions_.emplace_back(session);
    return;
  }
  sessions_[oldest_].reset(session);
  oldest_ = (oldest_ + 1) % kSessionsMax;
}

ssl_session_st* TlsScene::any_session(Random& random) const {
  return sessions_.empty() ? nullptr : sessions_[random.below(sessions_.size())].get();
}

}  // namespace holdfast::simulator
