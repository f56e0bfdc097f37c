#pragma once

// Numbers of TLS 1.3 (RFC 8446) that reader and writer of records share.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace holdfast::protocol {

// RFC 8446 5.1
enum class TlsContent : std::uint8_t {
  kInvalid = 0,
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23,
};

// RFC 8446 6: those that we send or tell apart.
enum class TlsAlert : std::uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kHandshakeFailure = 40,
  kIllegalParameter = 47,
  kDecodeError = 50,
  kProtocolVersion = 70,
  kInternalError = 80,
  kUserCanceled = 90,
};

enum class TlsRole : std::uint8_t { kServer, kClient };

// RFC 8446 4: those that come after the handshake.
inline constexpr std::uint8_t kTlsNewSessionTicket = 4;
inline constexpr std::uint8_t kTlsKeyUpdate = 24;

inline constexpr std::size_t kTlsHeaderBytes = 5;
inline constexpr std::size_t kTlsTagBytes = 16;                  // of all three suites
inline constexpr std::size_t kTlsPlaintextBytesMax = 1 << 14;    // 5.1
inline constexpr std::size_t kTlsInnerBytesMax = (1 << 14) + 1;  // 5.4: content, type, padding
inline constexpr std::size_t kTlsCiphertextBytesMax = (1 << 14) + 256;  // 5.2
inline constexpr std::size_t kTlsRecordBytesMax = kTlsHeaderBytes + kTlsCiphertextBytesMax;
// What a record costs beside its content: header, inner type, tag.
inline constexpr std::size_t kTlsOverheadBytes = kTlsHeaderBytes + 1 + kTlsTagBytes;
inline constexpr std::size_t kTlsNonceBytes = 12;

enum class TlsDigest : std::uint8_t { kSha256, kSha384 };
inline constexpr std::size_t kTlsDigests = 2;
inline constexpr const char* kTlsDigestNames[kTlsDigests] = {"SHA256", "SHA384"};  // OpenSSL's
inline constexpr std::size_t kTlsDigestBytesMax = 48;
inline constexpr std::size_t bytes_of(TlsDigest digest) {
  return digest == TlsDigest::kSha256 ? 32 : kTlsDigestBytesMax;
}

// Appendix B.4; the CCM suites are not offered.
enum class TlsSuite : std::uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305 };
inline constexpr std::size_t kTlsSuites = 3;

// An application traffic secret (7.1); the first `secret_bytes` of its suite count, the rest is
// zero.
inline constexpr std::size_t kTlsSecretBytesMax = 48;
using TlsSecret = std::array<std::byte, kTlsSecretBytesMax>;

// The same where it lies in two pieces: what every suite has, and what SHA-384 has beyond that.
inline constexpr std::size_t kTlsSecretHeadBytes = 32;
inline constexpr std::size_t kTlsSecretTailBytes = kTlsSecretBytesMax - kTlsSecretHeadBytes;
using TlsSecretHead = std::array<std::byte, kTlsSecretHeadBytes>;
using TlsSecretTail = std::array<std::byte, kTlsSecretTailBytes>;
inline constexpr TlsSecretTail kTlsNoTail{};
struct TlsSecretView {
  std::span<const std::byte, kTlsSecretHeadBytes> head;
  std::span<const std::byte, kTlsSecretTailBytes> tail;
  TlsSecretView(const TlsSecret& whole)
      : head(whole.data(), kTlsSecretHeadBytes),
        tail(whole.data() + kTlsSecretHeadBytes, kTlsSecretTailBytes) {}
  TlsSecretView(const TlsSecretHead& a_head, const TlsSecretTail& a_tail)
      : head(a_head), tail(a_tail) {}
};

struct TlsSuiteTraits {
  std::uint16_t wire;
  const char* cipher;  // OpenSSL's name
  TlsDigest digest;
  std::uint8_t key_bytes;
  std::uint8_t secret_bytes;  // the digest's
  // 5.5: AES-GCM bears 2^24.5 full records under one key; ChaCha20 more than can be counted, and
  // gets new keys while 32 bits still count them.
  std::uint32_t records_per_key_max;
};
inline constexpr std::array<TlsSuiteTraits, kTlsSuites> kTlsSuiteTraits = {{
    {0x1301, "AES-128-GCM", TlsDigest::kSha256, 16, 32, 1 << 24},
    {0x1302, "AES-256-GCM", TlsDigest::kSha384, 32, 48, 1 << 24},
    {0x1303, "ChaCha20-Poly1305", TlsDigest::kSha256, 32, 32, std::uint32_t{1} << 31},
}};
inline constexpr const TlsSuiteTraits& traits_of(TlsSuite suite) {
  return kTlsSuiteTraits[static_cast<std::size_t>(suite)];
}
inline constexpr std::optional<TlsSuite> tls_suite_of(std::uint16_t wire) {
  for (std::size_t i = 0; i < kTlsSuites; ++i) {
    if (kTlsSuiteTraits[i].wire == wire) return static_cast<TlsSuite>(i);
  }
  return std::nullopt;
}

}  // namespace holdfast::protocol
