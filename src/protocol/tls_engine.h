#pragma once

// The arithmetic under TLS 1.3 records: keys from secrets (RFC 8446 7.3), AEAD (5.2), and the next
// secret (7.2). It knows no connection. A key is a function of its secret alone, and every use
// looks its cipher up by the whole secret; so two connections may take turns in any order, and
// neither can be sealed under the other's key.
//
//   secret ──► kept cipher (few, of connections that speak often)
//          └─► the one cipher of suite and direction, keyed anew: about 0.5 µs with SHA-256

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "protocol/tls_hkdf.h"
#include "protocol/tls_wire.h"

struct evp_cipher_ctx_st;
struct evp_cipher_st;

namespace holdfast::protocol {

// What secrets of SHA-384 have more than others, for a connection's two directions.
struct TlsSecretTails {
  TlsSecretTail read{}, write{};
};

// One for each worker; used by one thread. Secrets and keys that it holds are overwritten by
// forget() and at its end.
class TlsEngine {
 public:
  enum class Use : std::uint8_t { kOpen, kSeal };
  // 512 connections of which both directions are in use; 1.3 KiB each way, once they are.
  static constexpr std::size_t kKeptDefault = 1024;

  // `kept_max`: ciphers kept for connections that speak often; 0, or a power of two of at least 4.
  // `secrets`: where memory for tails comes from. `properties`: which of OpenSSL's ciphers may be
  // used (property(7)), beside what its configuration says.
  explicit TlsEngine(std::size_t kept_max = kKeptDefault,
                     std::pmr::memory_resource* secrets = std::pmr::new_delete_resource(),
                     const char* properties = nullptr);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // Whether OpenSSL has its cipher: a FIPS provider has no ChaCha20. Nothing else may be asked of a
  // suite that is not known.
  bool knows(TlsSuite suite) const {
    return algorithms_[static_cast<std::size_t>(suite)] != nullptr;
  }

  // Writes one record: header, ciphertext of the pieces one behind the other, their type and
  // `padding` zeros, tag. Returns its size: all bytes and kTlsOverheadBytes. Each sequence number
  // must be used once only.
  std::size_t seal(TlsSuite suite, TlsSecretView secret, std::uint64_t sequence, TlsContent type,
                   std::span<const Bytes> pieces, std::size_t padding, std::byte* out);

  // Opens one whole record in place: the inner plaintext (content, type, padding), which lies in
  // `record`. Nothing: not authentic, and the bytes are worth nothing.
  std::optional<MutableBytes> open(TlsSuite suite, TlsSecretView secret, std::uint64_t sequence,
                                   MutableBytes record);

  // The secret that follows after a KeyUpdate; the old one is forgotten.
  TlsSecret advance(TlsSuite suite, TlsSecretView secret);

  // The secret's connection is gone, or has another: no key made of it is kept.
  void forget(TlsSuite suite, TlsSecretView secret);

  // Room for the tails of a connection, until it is given back, overwritten, or the engine ends.
  TlsSecretTails* take_tails();
  void give_back(TlsSecretTails* tails);

  // How often a key was derived, or found.
  std::uint64_t derivations() const { return derivations_; }
  std::uint64_t hits() const { return hits_; }

 private:
  struct FreeCipher {
    void operator()(evp_cipher_ctx_st* cipher) const;
  };
  struct FreeAlgorithm {
    void operator()(evp_cipher_st* algorithm) const;
  };
  // A cipher and what it is keyed with.
  struct Slot {
    std::unique_ptr<evp_cipher_ctx_st, FreeCipher> cipher;
    TlsSecret secret{};
    std::array<std::byte, kTlsNonceBytes> iv{};
    std::uint32_t used = 0;
    TlsSuite suite = TlsSuite::kAes128Gcm;
    Use use = Use::kOpen;
    bool keyed = false;
    bool fits(TlsSuite a_suite, TlsSecretView a_secret, Use a_use) const {
      const TlsSecretView mine = secret;
      return keyed && suite == a_suite && use == a_use &&
             std::ranges::equal(mine.head, a_secret.head) &&
             std::ranges::equal(mine.tail, a_secret.tail);
    }
  };
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kSeen = 4096;

  Slot& slot_for(TlsSuite suite, TlsSecretView secret, Use use);
  void key(Slot& slot, TlsSuite suite, TlsSecretView secret, Use use);
  static void clear(Slot& slot);
  void begin_record(Slot& slot, std::uint64_t sequence, const std::byte* header, bool sealing);
  std::span<Slot> set_of(TlsSecretView secret);
  bool was_seen(TlsSecretView secret, Use use);
  Slot& oldest_of(std::span<Slot> set) const;

  std::pmr::unsynchronized_pool_resource tails_;
  std::array<std::unique_ptr<evp_cipher_st, FreeAlgorithm>, kTlsSuites> algorithms_;
  TlsHkdf hkdf_;
  std::array<Slot, kTlsSuites * 2> shared_;
  std::size_t kept_max_;
  std::vector<Slot> kept_;           // made when the first connection comes back soon
  std::vector<std::uint32_t> seen_;  // marks of secrets that were used lately
  std::uint32_t tick_ = 0;
  std::uint64_t derivations_ = 0, hits_ = 0;
};

}  // namespace holdfast::protocol
