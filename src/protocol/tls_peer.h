#pragma once

// For tests: OpenSSL's own ends of a TLS connection, in memory, and the secrets that they agreed
// on.

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "protocol/tls_key_schedule.h"
#include "protocol/tls_record.h"

namespace holdfast::protocol {

template <auto kFree>
struct TlsPeerFree {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using SslContextPointer = std::unique_ptr<SSL_CTX, TlsPeerFree<SSL_CTX_free>>;
using SslPointer = std::unique_ptr<SSL, TlsPeerFree<SSL_free>>;
using SslSessionPointer = std::unique_ptr<SSL_SESSION, TlsPeerFree<SSL_SESSION_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, TlsPeerFree<EVP_PKEY_free>>;
using CrlPointer = std::unique_ptr<X509_CRL, TlsPeerFree<X509_CRL_free>>;
using TimePointer = std::unique_ptr<ASN1_TIME, TlsPeerFree<ASN1_TIME_free>>;
using CertificatePointer = std::unique_ptr<X509, TlsPeerFree<X509_free>>;

inline std::vector<std::byte> bytes_of_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

inline TlsSecret secret_of_hex(std::string_view hex) {
  TlsSecret secret{};
  const auto bytes = bytes_of_hex(hex);
  CHECK(bytes.size() <= secret.size());
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

// What `write` writes to a BIO.
template <class Write>
std::string pem_text(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

// A certificate for P-256, or for RSA when `rsa`. It signs itself, as an authority may, or another
// signs it.
struct Identity {
  KeyPointer key;
  CertificatePointer certificate;

  explicit Identity(const char* name, bool rsa = false, const Identity* issuer = nullptr,
                    long seconds = 3600)
      : key(rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")), certificate(X509_new()) {
    X509* x509 = certificate.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), seconds);
    X509_set_pubkey(x509, key.get());
    X509_NAME* subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(
        x509, issuer == nullptr ? subject : X509_get_subject_name(issuer->certificate.get()));
    if (issuer == nullptr) extend(NID_basic_constraints, "critical,CA:TRUE");
    CHECK(X509_sign(x509, issuer == nullptr ? key.get() : issuer->key.get(), EVP_sha256()) > 0);
  }
  void extend(int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    CHECK(extension != nullptr && X509_add_ext(certificate.get(), extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }
  // As files hold them.
  std::string certificate_pem() const {
    return pem_text([&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); });
  }
  std::string key_pem() const {
    return pem_text([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
};

// What OpenSSL would ask of our key schedule to derive 32 bytes of this label; it is not the secret
// of any connection.
inline std::vector<std::byte> derive_another(std::string_view label) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, tls_key_schedule_properties());
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  EVP_KDF_free(kdf);
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  std::string digest = "SHA256", secret(32, 'a'), prefix = "tls13 ", text(label);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix.data(), prefix.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, text.data(), text.size()),
      OSSL_PARAM_construct_end()};
  std::vector<std::byte> out(32);
  CHECK(EVP_KDF_derive(context, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                       parameters) == 1);
  EVP_KDF_CTX_free(context);
  return out;
}

// One end, over memory. What it writes is taken with output(), what comes is given with input().
class SslEnd {
 public:
  explicit SslEnd(SSL_CTX* context, bool is_server) : ssl_(SSL_new(context)) {
    SSL_set_ex_data(ssl_.get(), 0, this);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    if (is_server) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
    }
  }
  SslEnd(const SslEnd&) = delete;
  SslEnd& operator=(const SslEnd&) = delete;

  static void note_secrets(SSL_CTX* context) {
    SSL_CTX_set_keylog_callback(context, [](const SSL* ssl, const char* line) {
      auto* end = static_cast<SslEnd*>(SSL_get_ex_data(ssl, 0));
      const std::string text(line);
      const std::string label = text.substr(0, text.find(' '));
      end->secrets_[label] = secret_of_hex(text.substr(text.rfind(' ') + 1));
    });
  }

  SSL* ssl() { return ssl_.get(); }
  int handshake() { return SSL_do_handshake(ssl_.get()); }
  bool is_done() { return SSL_is_init_finished(ssl_.get()) == 1; }
  TlsSecret secret(const std::string& label) const { return secrets_.at(label); }
  TlsSuite suite() {
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
    return *tls_suite_of(static_cast<std::uint16_t>(SSL_CIPHER_get_protocol_id(cipher)));
  }

  void input(Bytes bytes) {
    if (!bytes.empty())
      CHECK(BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size())) ==
            static_cast<int>(bytes.size()));
  }
  std::vector<std::byte> output() {
    std::vector<std::byte> bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())));
    if (!bytes.empty())
      BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  // All plaintext that can be read now.
  std::string read() {
    std::string text;
    std::array<char, 20'000> buffer;
    for (int n; (n = SSL_read(ssl_.get(), buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
  }
  void write(std::string_view text) {
    CHECK(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
          static_cast<int>(text.size()));
  }

 private:
  SslPointer ssl_;
  std::map<std::string, TlsSecret> secrets_;
};

inline SslContextPointer server_context(const Identity& identity) {
  SslContextPointer context(SSL_CTX_new(TLS_server_method()));
  CHECK(SSL_CTX_use_certificate(context.get(), identity.certificate.get()) == 1);
  CHECK(SSL_CTX_use_PrivateKey(context.get(), identity.key.get()) == 1);
  SslEnd::note_secrets(context.get());
  return context;
}
inline SslContextPointer client_context() {
  SslContextPointer context(SSL_CTX_new(TLS_client_method()));
  SslEnd::note_secrets(context.get());
  return context;
}

// OpenSSL with itself. After it, neither has anything to say.
inline void shake_hands(SslEnd& client, SslEnd& server) {
  for (int i = 0; i < 10 && !(client.is_done() && server.is_done()); ++i) {
    client.handshake();
    server.input(client.output());
    server.handshake();
    client.input(server.output());
  }
  CHECK(client.is_done() && server.is_done());
  client.read();  // the tickets
}

}  // namespace holdfast::protocol
