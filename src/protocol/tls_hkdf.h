#pragma once

// The derivations of TLS 1.3 (RFC 8446 7.1), over OpenSSL's HMAC.

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "protocol/tls_wire.h"

struct evp_mac_ctx_st;

namespace holdfast::protocol {

// Used by one thread. The two HMACs keep the last secret that each was used with, until forget().
class TlsHkdf {
 public:
  TlsHkdf();

  // HKDF-Expand-Label. Label and context are at most 249 and 255 bytes, `out` at most 255 digests.
  void expand_label(TlsDigest digest, Bytes secret, std::string_view label, Bytes context,
                    MutableBytes out);
  // Another one with the secret of the last call for this digest, whose two keyed blocks need not
  // be computed again.
  void expand_another(TlsDigest digest, std::string_view label, MutableBytes out);
  // HKDF-Extract (RFC 5869 2.2); `out` is one digest. An empty salt is one of zeros.
  void extract(TlsDigest digest, Bytes salt, Bytes key, MutableBytes out);

  // The HMAC's key is overwritten, whichever it was.
  void forget(TlsDigest digest);

 private:
  struct FreeMac {
    void operator()(evp_mac_ctx_st* mac) const;
  };
  evp_mac_ctx_st* mac(TlsDigest digest) { return macs_[static_cast<std::size_t>(digest)].get(); }
  void begin(TlsDigest digest, Bytes key);
  void expand(TlsDigest digest, std::string_view label, Bytes context, MutableBytes out);

  std::array<std::unique_ptr<evp_mac_ctx_st, FreeMac>, kTlsDigests> macs_;
  std::array<bool, kTlsDigests> keyed_{};  // with a secret
};

}  // namespace holdfast::protocol
