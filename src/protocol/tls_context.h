#pragma once

// What a listener's TLS handshakes have in common: certificates with their keys, and what is agreed
// to. OpenSSL does the handshakes.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "protocol/tls_tickets.h"

struct ssl_ctx_st;

namespace holdfast::protocol {

// One certificate as PEM: the leaf and behind it whoever signed it; and the leaf's private key.
// The key is overwritten when this ends.
struct TlsIdentity {
  std::string chain_pem;
  std::string key_pem;
  std::string name;  // for errors: the file it came from

  TlsIdentity() = default;
  TlsIdentity(std::string chain, std::string key, std::string file)
      : chain_pem(std::move(chain)), key_pem(std::move(key)), name(std::move(file)) {}
  TlsIdentity(const TlsIdentity&) = default;
  TlsIdentity(TlsIdentity&&) = default;
  TlsIdentity& operator=(const TlsIdentity&) = default;
  TlsIdentity& operator=(TlsIdentity&&) = default;
  ~TlsIdentity();
};

// Whether clients are asked for a certificate (RFC 8446 4.3.2). kOptional: who has none comes in
// without; who shows one must show a good one.
enum class TlsClientCertificates : std::uint8_t { kOff, kOptional, kRequired };

struct TlsPolicy {
  std::vector<TlsIdentity> identities = {};  // the first serves clients that name nobody we know
  bool detach = true;  // take TLS 1.3 connections over from OpenSSL when they are established
  bool allow_tls12 = false;

  TlsClientCertificates client_certificates = TlsClientCertificates::kOff;
  // Who may sign clients' certificates, as PEM; and their lists of revoked ones, if there are any:
  // then each of them needs one.
  std::string client_authorities_pem = {};

  // In the order of our preference, as OpenSSL names them, joined by ':'. AES-128 first: half the
  // price of a derivation, and 32 bytes of secret; ChaCha20 for those that put it first themselves,
  // machines without AES instructions (SSL_OP_PRIORITIZE_CHACHA).
  std::string suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
  // TLS 1.2. Whatever has no forward secrecy or no AEAD is refused (RFC 9325 4.2).
  std::string tls12_suites =
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
      "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
  // For the exchange of keys. The finite fields and P-521, which OpenSSL has too, cost up to fifty
  // times as much of our time as of a client's.
  std::string groups = "X25519:P-256:P-384";
};

// What an operator may want to know of a certificate.
struct TlsCertificateTerm {
  std::string name;        // of the file
  std::string subject;     // RFC 2253
  std::int64_t not_after;  // the last second, since 1970
};

class TlsContext;
using TlsContexts = std::vector<std::shared_ptr<const TlsContext>>;

// Shared by all threads; one for each keeps them from counting its references in turns. Replaced as
// a whole when certificates change: handshakes that began under the old one end under it.
class TlsContext {
 public:
  // The error names the file and what is wrong with it. `tickets` are shared by all contexts whose
  // tickets are good with each other; null: keys of its own, for two hours.
  static Result<std::shared_ptr<const TlsContext>> make(
      const TlsPolicy& policy, std::shared_ptr<TlsTickets> tickets = nullptr);
  // So many, at least one: one for each thread. They have the certificates and keys in common.
  static Result<TlsContexts> make_many(std::size_t count, const TlsPolicy& policy,
                                       std::shared_ptr<TlsTickets> tickets = nullptr);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* ssl() const { return contexts_.front().get(); }
  bool detaches() const { return detach_; }
  bool allows_tls12() const { return allow_tls12_; }
  bool asks_for_certificates() const { return asks_for_certificates_; }
  const std::shared_ptr<TlsTickets>& tickets() const { return tickets_; }
  const std::vector<TlsCertificateTerm>& certificates() const { return certificates_; }
  // Whether `name` is one of the identity's: for SNI.
  ssl_ctx_st* for_name(const char* name) const;

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  using Pointer = std::unique_ptr<ssl_ctx_st, FreeContext>;
  struct Loaded;  // an identity, as OpenSSL's objects

  TlsContext() = default;
  static Result<std::shared_ptr<const TlsContext>> make_one(std::span<const Loaded> identities,
                                                            const TlsPolicy& policy,
                                                            std::shared_ptr<TlsTickets> tickets);
  Result<Pointer> make_for(const Loaded& identity, const TlsPolicy& policy);

  std::shared_ptr<TlsTickets> tickets_;
  std::vector<Pointer> contexts_;  // one for each identity
  std::vector<TlsCertificateTerm> certificates_;
  bool detach_ = true, allow_tls12_ = false, asks_for_certificates_ = false;
};

// Takes padding of records (RFC 8446 5.4) out of a new context. OpenSSL gives each one what the
// machine's openssl.cnf says (RecordPadding): records that we would not expect to be so long.
void leave_out_padding(ssl_ctx_st* context);

// Overwrites a text that held keys, and leaves it empty.
void cleanse(std::string& text);

// Makes OpenSSL overwrite what it frees: secrets lie in most of its objects, and not all of them
// are overwritten by itself. Before the first call of anything in OpenSSL; false: too late.
bool use_cleansing_allocator();

}  // namespace holdfast::protocol
