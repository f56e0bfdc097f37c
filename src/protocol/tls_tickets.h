#pragma once

// The keys that session tickets are sealed with (RFC 8446 4.6.1, RFC 5077 4). A ticket is the
// session itself, in the client's hands: whoever has the key may pass for us towards those who come
// back, and read what TLS 1.2 resumed. So keys of our own are made anew once in a ticket's
// lifetime, and go when the last ticket that they sealed has ended.
//
//   made ──(lifetime)──► accepted only ──(lifetime)──► gone

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared_value.h"
#include "base/time.h"

struct ssl_ctx_st;

namespace holdfast::protocol {

// Overwritten when it ends.
struct TlsTicketKey {
  static constexpr std::size_t kNameBytes = 16, kSecretBytes = 32;
  static constexpr std::size_t kBytes = kNameBytes + 2 * kSecretBytes;
  std::array<unsigned char, kNameBytes> name{};      // stands in the ticket
  std::array<unsigned char, kSecretBytes> cipher{};  // AES-256-CBC
  std::array<unsigned char, kSecretBytes> mac{};     // HMAC-SHA-256

  TlsTicketKey() = default;
  TlsTicketKey(const TlsTicketKey&) = default;
  TlsTicketKey& operator=(const TlsTicketKey&) = default;
  ~TlsTicketKey();
};

using TlsTicketKeys = std::vector<TlsTicketKey>;  // the first one seals, all of them open

// Reads keys that machines share: one in a line, 80 random bytes as base64; empty lines and what
// stands behind '#' do not count. At most 16 keys. The error never holds a key.
Result<TlsTicketKeys> parse_ticket_keys(std::string_view text);

// Any thread.
class TlsTickets {
 public:
  static constexpr std::size_t kSharedMax = 16;

  // `lifetime`: how long a ticket is good.
  explicit TlsTickets(std::chrono::seconds lifetime);

  std::chrono::seconds lifetime() const { return lifetime_; }
  // From now on these, which rotate() leaves alone.
  void share(TlsTicketKeys keys);
  // Makes the next key of our own where the present one has lived its time. Cheap when not; call it
  // before each handshake.
  void rotate(Instant now);
  std::shared_ptr<const TlsTicketKeys> keys() const { return keys_.load(); }

  // Lets a context seal and open with these keys, which must outlive it.
  void serve(ssl_ctx_st* context);

 private:
  const std::chrono::seconds lifetime_;
  SharedValue<const TlsTicketKeys> keys_;
  std::atomic<bool> are_shared_{false};
  // When the present key was first looked at; it is made anew by whoever moves this on.
  std::atomic<Duration::rep> began_{kNotBegun};
  static constexpr Duration::rep kNotBegun = INT64_MIN;
};

}  // namespace holdfast::protocol
