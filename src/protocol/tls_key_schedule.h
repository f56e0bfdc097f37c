#pragma once

// OpenSSL does the handshakes; what it derives in them (RFC 8446 7.1) it asks of an algorithm that
// can be provided: "TLS13-KDF". Ours derives the same, and keeps the two secrets of application
// data for whoever wants them. OpenSSL itself has a key log for that, which writes every secret as
// text, byte by byte.
//
//   SSL_do_handshake ──► EVP_KDF "TLS13-KDF", found by tls_key_schedule_properties()
//                            └──► TlsHkdf of this thread ──► TlsSecretsTaker of this thread
//
// Contexts made without those properties, such as an application's own, never meet it.

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/tls_wire.h"

namespace holdfast::protocol {

// The secrets of application data of one connection, as far as they were derived. Overwritten at
// its end.
struct TlsSecrets {
  TlsSecret client{}, server{};
  std::uint8_t client_bytes = 0, server_bytes = 0;

  TlsSecrets() = default;
  TlsSecrets(const TlsSecrets&) = delete;
  TlsSecrets& operator=(const TlsSecrets&) = delete;
  ~TlsSecrets();
};

// While it lives, what OpenSSL derives on this thread goes to `secrets`: around each call that does
// a part of that connection's handshake, and no other's. At its end this thread's HMACs forget
// their keys.
class TlsSecretsTaker {
 public:
  explicit TlsSecretsTaker(TlsSecrets& secrets);
  ~TlsSecretsTaker();
  TlsSecretsTaker(const TlsSecretsTaker&) = delete;
  TlsSecretsTaker& operator=(const TlsSecretsTaker&) = delete;
};

// For SSL_CTX_new_ex(nullptr, …): prefers our derivations, and takes OpenSSL's where those are not
// allowed (a machine of which all algorithms must be of a FIPS module); then no secrets come.
// Makes them known to OpenSSL's default library context, once. Any thread.
const char* tls_key_schedule_properties();

}  // namespace holdfast::protocol
