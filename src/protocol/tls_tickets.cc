#include "protocol/tls_tickets.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

struct FreeTime {
  void operator()(ASN1_GENERALIZEDTIME* time) const { ASN1_GENERALIZEDTIME_free(time); }
};

constexpr int kRefused = 0, kGood = 1, kGoodButOld = 2;  // SSL_CTX_set_tlsext_ticket_key_evp_cb(3)

int tickets_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

TlsTicketKey key_of(const unsigned char* bytes) {
  TlsTicketKey key;
  std::copy_n(bytes, key.name.size(), key.name.begin());
  std::copy_n(bytes + key.name.size(), key.cipher.size(), key.cipher.begin());
  std::copy_n(bytes + key.name.size() + key.cipher.size(), key.mac.size(), key.mac.begin());
  return key;
}

TlsTicketKey new_key() {
  std::array<unsigned char, TlsTicketKey::kBytes> bytes;
  CHECK(RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  TlsTicketKey key = key_of(bytes.data());
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

bool set_mac_key(EVP_MAC_CTX* mac, TlsTicketKey key) {
  std::array<char, 7> digest = {"SHA256"};
  const std::array<OSSL_PARAM, 3> parameters = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
}

int seal_or_open(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                 EVP_MAC_CTX* mac, int sealing) {
  const auto* tickets =
      static_cast<const TlsTickets*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index()));
  const auto keys = tickets->keys();
  if (sealing != 0) {
    const TlsTicketKey& key = keys->front();
    std::copy(key.name.begin(), key.name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    if (EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, nullptr) != 1)
      return -1;
    return set_mac_key(mac, key) ? kGood : -1;
  }
  const auto key = std::find_if(keys->begin(), keys->end(), [&](const TlsTicketKey& one) {
    return std::equal(one.name.begin(), one.name.end(), name);
  });
  if (key == keys->end()) return kRefused;
  if (EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher.data(), iv, nullptr) != 1 ||
      !set_mac_key(mac, *key))
    return -1;
  return key == keys->begin() ? kGood : kGoodButOld;
}

using TimePointer = std::unique_ptr<ASN1_GENERALIZEDTIME, FreeTime>;

void take_earlier(TimePointer& end, const ASN1_TIME* other) {
  if (other == nullptr || (end != nullptr && ASN1_TIME_compare(other, end.get()) >= 0)) return;
  end.reset(ASN1_TIME_to_generalizedtime(other, nullptr));
}

// When the first of those ends by which a client's certificate was found good: it, those above it,
// and the lists of what they revoked. Null: never.
TimePointer end_of_trust(SSL* ssl) {
  TimePointer end;
  const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
  const X509_STORE* store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
  const STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const X509* certificate = sk_X509_value(chain, i);
    take_earlier(end, X509_get0_notAfter(certificate));
    for (int j = 0; j < sk_X509_OBJECT_num(objects); ++j) {
      const X509_CRL* list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, j));
      if (list != nullptr &&
          X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(certificate)) == 0)
        take_earlier(end, X509_CRL_get0_nextUpdate(list));
    }
  }
  return end;
}

// The ticket of one that showed a certificate says until when it is good, as text; those that
// follow it take that over.
int note_end_of_trust(SSL* ssl, void*) {
  SSL_SESSION* session = SSL_get_session(ssl);
  if (SSL_session_reused(ssl) != 0 || SSL_SESSION_get0_peer(session) == nullptr) return 1;
  const TimePointer end = end_of_trust(ssl);
  return end == nullptr ? 1
                        : SSL_SESSION_set1_ticket_appdata(session, ASN1_STRING_get0_data(end.get()),
                                                          ASN1_STRING_length(end.get()));
}

bool is_over(SSL_SESSION* session) {
  void* text = nullptr;
  std::size_t size = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &text, &size) != 1 || size == 0) return true;
  const TimePointer end(ASN1_GENERALIZEDTIME_new());
  const std::string copy(static_cast<const char*>(text), size);
  return ASN1_GENERALIZEDTIME_set_string(end.get(), copy.c_str()) != 1 ||
         X509_cmp_current_time(end.get()) < 0;
}

// A client that showed a certificate is known by it again when it resumes. OpenSSL does not look
// at any dates then, and each ticket leads to the next: so that nothing would ever end.
SSL_TICKET_RETURN judge_session(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                SSL_TICKET_STATUS status, void*) {
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (SSL_SESSION_get0_peer(session) != nullptr && is_over(session))
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  return SSL_TICKET_RETURN_USE_RENEW;
}

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t'))
    line.remove_suffix(1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  return line;
}

}  // namespace

TlsTicketKey::~TlsTicketKey() {
  OPENSSL_cleanse(cipher.data(), cipher.size());
  OPENSSL_cleanse(mac.data(), mac.size());
}

Result<TlsTicketKeys> parse_ticket_keys(std::string_view text) {
  constexpr std::size_t kLineChars = (TlsTicketKey::kBytes + 2) / 3 * 4;
  TlsTicketKeys keys;
  keys.reserve(TlsTickets::kSharedMax);  // so that no copy is left behind
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    std::array<unsigned char, kLineChars> bytes{};
    TlsTicketKey key;
    const bool is_key =
        line.size() == kLineChars && line.ends_with("=") && !line.ends_with("==") &&
        EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(line.data()),
                        static_cast<int>(line.size())) ==
            static_cast<int>(TlsTicketKey::kBytes + 1);
    if (is_key) key = key_of(bytes.data());
    OPENSSL_cleanse(bytes.data(), bytes.size());  // some of it may have been a key
    if (!is_key)
      return failure(
          fmt::format("line {} is no key: write {} random bytes as base64 "
                      "(openssl rand -base64 {} | tr -d '\\n')",
                      number, TlsTicketKey::kBytes, TlsTicketKey::kBytes));
    if (keys.size() == TlsTickets::kSharedMax)
      return failure(fmt::format("there are more than {} keys", TlsTickets::kSharedMax));
    keys.push_back(key);
    const bool is_twice = std::any_of(keys.begin(), keys.end() - 1, [&](const TlsTicketKey& one) {
      return one.name == keys.back().name;
    });
    if (is_twice) return failure(fmt::format("the key in line {} is there twice", number));
  }
  if (keys.empty()) return failure("there is no key in it");
  return keys;
}

TlsTickets::TlsTickets(std::chrono::seconds lifetime)
    : lifetime_(lifetime), keys_(std::make_shared<const TlsTicketKeys>(1, new_key())) {}

void TlsTickets::share(TlsTicketKeys keys) {
  CHECK(!keys.empty());
  are_shared_.store(true, std::memory_order_release);
  keys_.store(std::make_shared<const TlsTicketKeys>(std::move(keys)));
}

void TlsTickets::rotate(Instant now) {
  if (are_shared_.load(std::memory_order_acquire)) return;
  const Duration::rep present = now.time_since_epoch().count();
  const Duration::rep length = Duration(lifetime_).count();
  Duration::rep began = began_.load(std::memory_order_acquire);
  if (began == kNotBegun) {
    began_.compare_exchange_strong(began, present);
    return;
  }
  if (present - began < length) return;
  if (!began_.compare_exchange_strong(began, present)) return;  // another thread does it
  auto next = std::make_shared<TlsTicketKeys>();
  next->reserve(2);
  next->push_back(new_key());
  // Nobody came for so long that no ticket of before is good.
  if (present - began < 2 * length) next->push_back(keys_.load()->front());
  keys_.store(std::move(next));
}

void TlsTickets::serve(ssl_ctx_st* context) {
  CHECK(SSL_CTX_set_ex_data(context, tickets_index(), this) == 1);
  CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_or_open) == 1);
  CHECK(SSL_CTX_set_session_ticket_cb(context, note_end_of_trust, judge_session, nullptr) == 1);
  SSL_CTX_set_timeout(context, static_cast<long>(lifetime_.count()));
}

}  // namespace holdfast::protocol
