#include "protocol/tls_engine.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

// Tails come in chunks of 64 KiB at most.
constexpr std::pmr::pool_options kTailPool{.max_blocks_per_chunk = 2048,
                                           .largest_required_pool_block = sizeof(TlsSecretTails)};

// Of a secret, what counts, in one piece.
class Joined {
 public:
  Joined(TlsSuite suite, TlsSecretView secret) : bytes_(secret.head) {
    if (traits_of(suite).secret_bytes == kTlsSecretHeadBytes) return;
    std::ranges::copy(secret.head, copy_.begin());
    std::ranges::copy(secret.tail, copy_.begin() + kTlsSecretHeadBytes);
    bytes_ = copy_;
    copied_ = true;
  }
  ~Joined() {
    if (copied_) OPENSSL_cleanse(copy_.data(), copy_.size());
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  Bytes bytes() const { return bytes_; }

 private:
  TlsSecret copy_;
  Bytes bytes_;
  bool copied_ = false;
};

// Secrets are uniform: any bits of one are as good as a hash of it.
std::uint64_t mark_of(TlsSecretView secret) {
  std::uint64_t mark;
  std::memcpy(&mark, secret.head.data(), sizeof mark);
  return mark;
}

void write_header(std::byte* out, std::size_t length) {
  out[0] = static_cast<std::byte>(TlsContent::kApplicationData);
  out[1] = std::byte{3};
  out[2] = std::byte{3};
  out[3] = static_cast<std::byte>(length >> 8);
  out[4] = static_cast<std::byte>(length & 0xFF);
}

}  // namespace

void TlsEngine::FreeCipher::operator()(evp_cipher_ctx_st* cipher) const {
  EVP_CIPHER_CTX_free(cipher);
}
void TlsEngine::FreeAlgorithm::operator()(evp_cipher_st* algorithm) const {
  EVP_CIPHER_free(algorithm);
}

TlsEngine::TlsEngine(std::size_t kept_max, std::pmr::memory_resource* secrets,
                     const char* properties)
    : tails_(kTailPool, secrets), kept_max_(kept_max) {
  CHECK(kept_max == 0 || (std::has_single_bit(kept_max) && kept_max >= kWays));
  ERR_set_mark();
  for (std::size_t i = 0; i < kTlsSuites; ++i)
    algorithms_[i].reset(EVP_CIPHER_fetch(nullptr, kTlsSuiteTraits[i].cipher, properties));
  ERR_pop_to_mark();
}

TlsEngine::~TlsEngine() {
  for (Slot& slot : shared_) clear(slot);
  for (Slot& slot : kept_) clear(slot);
}

void TlsEngine::key(Slot& slot, TlsSuite suite, TlsSecretView secret, Use use) {
  CHECK(knows(suite));
  ++derivations_;
  const bool is_new = slot.cipher == nullptr || slot.suite != suite;
  if (slot.cipher == nullptr) slot.cipher.reset(EVP_CIPHER_CTX_new());
  CHECK(slot.cipher != nullptr);
  slot.keyed = false;
  std::array<std::byte, 32> key;
  const std::size_t key_bytes = traits_of(suite).key_bytes;
  const TlsDigest digest = traits_of(suite).digest;
  hkdf_.expand_label(digest, Joined(suite, secret).bytes(), "key", {},
                     MutableBytes(key).first(key_bytes));
  hkdf_.expand_another(digest, "iv", slot.iv);
  const EVP_CIPHER* algorithm =
      is_new ? algorithms_[static_cast<std::size_t>(suite)].get() : nullptr;
  CHECK(EVP_CipherInit_ex(slot.cipher.get(), algorithm, nullptr, raw(key.data()), nullptr,
                          use == Use::kSeal ? 1 : 0) == 1);
  OPENSSL_cleanse(key.data(), key.size());
  slot.suite = suite;
  slot.use = use;
  std::ranges::copy(secret.head, slot.secret.begin());
  std::ranges::copy(secret.tail, slot.secret.begin() + kTlsSecretHeadBytes);
  slot.keyed = true;
}

void TlsEngine::clear(Slot& slot) {
  slot.cipher.reset();
  slot.keyed = false;
  OPENSSL_cleanse(slot.secret.data(), slot.secret.size());
  OPENSSL_cleanse(slot.iv.data(), slot.iv.size());
}

std::span<TlsEngine::Slot> TlsEngine::set_of(TlsSecretView secret) {
  if (kept_.empty()) return {};
  const std::size_t sets = kept_max_ / kWays;
  return std::span(kept_).subspan((mark_of(secret) & (sets - 1)) * kWays, kWays);
}

// A cipher is kept for a secret that comes back soon. One that comes once in a while, as each of a
// crowd of silent peers does, would only drive the others out.
TlsEngine::Slot& TlsEngine::slot_for(TlsSuite suite, TlsSecretView secret, Use use) {
  ++tick_;
  for (Slot& slot : set_of(secret)) {
    if (!slot.fits(suite, secret, use)) continue;
    ++hits_;
    slot.used = tick_;
    return slot;
  }
  Slot& shared = shared_[static_cast<std::size_t>(suite) * 2 + static_cast<std::size_t>(use)];
  if (shared.fits(suite, secret, use)) {
    ++hits_;
    return shared;
  }
  if (kept_max_ != 0 && was_seen(secret, use)) {
    if (kept_.empty()) kept_.resize(kept_max_);
    Slot& oldest = oldest_of(set_of(secret));
    oldest.used = tick_;
    key(oldest, suite, secret, use);
    return oldest;
  }
  key(shared, suite, secret, use);
  return shared;
}

// Whether it was used so lately; from now on it was. A new connection's tickets are opened and its
// first answer is sealed with one secret: that is no sign of much to come.
bool TlsEngine::was_seen(TlsSecretView secret, Use use) {
  if (seen_.empty()) seen_.resize(kSeen);
  const std::uint64_t mark = mark_of(secret);
  std::uint32_t& seen = seen_[(mark >> 16) & (kSeen - 1)];
  const auto present = static_cast<std::uint32_t>(mark >> 32) ^ static_cast<std::uint32_t>(use);
  return std::exchange(seen, present) == present;
}

TlsEngine::Slot& TlsEngine::oldest_of(std::span<Slot> set) const {
  return *std::min_element(set.begin(), set.end(), [&](const Slot& a, const Slot& b) {
    if (a.keyed != b.keyed) return !a.keyed;
    return tick_ - a.used > tick_ - b.used;
  });
}

void TlsEngine::forget(TlsSuite suite, TlsSecretView secret) {
  hkdf_.forget(traits_of(suite).digest);  // which one it is cannot be asked
  for (const Use use : {Use::kOpen, Use::kSeal}) {
    for (Slot& slot : set_of(secret)) {
      if (slot.fits(suite, secret, use)) clear(slot);
    }
    for (Slot& slot : shared_) {
      if (slot.fits(suite, secret, use)) clear(slot);
    }
  }
}

TlsSecret TlsEngine::advance(TlsSuite suite, TlsSecretView secret) {
  TlsSecret next{};
  hkdf_.expand_label(traits_of(suite).digest, Joined(suite, secret).bytes(), "traffic upd", {},
                     MutableBytes(next).first(traits_of(suite).secret_bytes));
  forget(suite, secret);
  return next;
}

TlsSecretTails* TlsEngine::take_tails() {
  return std::pmr::polymorphic_allocator<>(&tails_).new_object<TlsSecretTails>();
}

void TlsEngine::give_back(TlsSecretTails* tails) {
  std::pmr::polymorphic_allocator<>(&tails_).delete_object(tails);
}

// RFC 8446 5.3: the nonce is the sequence number, padded on the left, xored with the iv. 5.2: the
// header is the additional data.
void TlsEngine::begin_record(Slot& slot, std::uint64_t sequence, const std::byte* header,
                             bool sealing) {
  std::array<std::byte, kTlsNonceBytes> nonce = slot.iv;
  for (std::size_t i = 0; i < 8; ++i)
    nonce[kTlsNonceBytes - 1 - i] ^= static_cast<std::byte>(sequence >> (8 * i) & 0xFF);
  int written = 0;
  EVP_CIPHER_CTX* cipher = slot.cipher.get();
  CHECK(EVP_CipherInit_ex(cipher, nullptr, nullptr, nullptr, raw(nonce.data()), sealing ? 1 : 0) ==
        1);
  CHECK(EVP_CipherUpdate(cipher, nullptr, &written, raw(header),
                         static_cast<int>(kTlsHeaderBytes)) == 1);
}

std::size_t TlsEngine::seal(TlsSuite suite, TlsSecretView secret, std::uint64_t sequence,
                            TlsContent type, std::span<const Bytes> pieces, std::size_t padding,
                            std::byte* out) {
  std::byte* const inner = out + kTlsHeaderBytes;
  std::byte* end = inner;
  for (const Bytes piece : pieces) end = std::copy(piece.begin(), piece.end(), end);
  *end++ = static_cast<std::byte>(type);
  end = std::fill_n(end, padding, std::byte{0});
  const auto inner_bytes = static_cast<std::size_t>(end - inner);
  CHECK(inner_bytes <= kTlsInnerBytesMax);
  write_header(out, inner_bytes + kTlsTagBytes);

  Slot& slot = slot_for(suite, secret, Use::kSeal);
  begin_record(slot, sequence, out, true);
  EVP_CIPHER_CTX* cipher = slot.cipher.get();
  int written = 0;
  CHECK(EVP_CipherUpdate(cipher, raw(inner), &written, raw(inner), static_cast<int>(inner_bytes)) ==
        1);
  CHECK(static_cast<std::size_t>(written) == inner_bytes);
  CHECK(EVP_CipherFinal_ex(cipher, raw(end), &written) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, kTlsTagBytes, end) == 1);
  return kTlsHeaderBytes + inner_bytes + kTlsTagBytes;
}

std::optional<MutableBytes> TlsEngine::open(TlsSuite suite, TlsSecretView secret,
                                            std::uint64_t sequence, MutableBytes record) {
  CHECK(record.size() >= kTlsHeaderBytes + kTlsTagBytes);
  const MutableBytes inner =
      record.subspan(kTlsHeaderBytes, record.size() - kTlsHeaderBytes - kTlsTagBytes);
  std::byte* const tag = inner.data() + inner.size();
  Slot& slot = slot_for(suite, secret, Use::kOpen);
  begin_record(slot, sequence, record.data(), false);
  EVP_CIPHER_CTX* cipher = slot.cipher.get();
  int written = 0;
  if (!inner.empty()) {
    CHECK(EVP_CipherUpdate(cipher, raw(inner.data()), &written, raw(inner.data()),
                           static_cast<int>(inner.size())) == 1);
  }
  CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, kTlsTagBytes, tag) == 1);
  if (EVP_CipherFinal_ex(cipher, raw(tag), &written) != 1) return std::nullopt;
  return inner;
}

}  // namespace holdfast::protocol
