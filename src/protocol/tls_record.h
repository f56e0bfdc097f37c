#pragma once

// What is left of a TLS 1.3 connection when its handshake is over: two secrets, two sequence
// numbers, 88 bytes; 32 more, in memory of the engine, where the secrets are SHA-384's. Records in,
// plaintext out, and back (RFC 8446 5), with the only handshake message that may still come to a
// server, KeyUpdate (4.6.3). A client may get tickets, too (4.6.1).
//
//   Invariant: a sequence number is spent before its record is sealed or opened, and no state
//   exists twice. So no nonce is used twice under a key, which AES-GCM would not forgive.

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "protocol/tls_engine.h"
#include "protocol/tls_wire.h"

namespace holdfast::protocol {

// One direction, as it begins.
struct TlsTraffic {
  TlsSecret secret{};
  std::uint64_t sequence = 0;
};

// What a call of TlsRecords::open() came to.
struct TlsOpened {
  enum class Kind : std::uint8_t {
    kMore,         // no whole record is there; nothing was used
    kData,         // `plaintext`, which lies in the input and may be written to; may be empty
    kNothing,      // a record without application data: a key update, padding
    kClosed,       // close_notify: the peer says no more (6.1)
    kAlerted,      // a fatal alert of the peer's, `alert`
    kFailed,       // send `alert` and drop the connection; `reason` is static text
    kEstablished,  // the handshake is over (TlsCodec alone says it)
  };
  Kind kind = Kind::kMore;
  std::size_t used = 0;  // bytes of the input that were read
  MutableBytes plaintext = {};
  TlsAlert alert = TlsAlert::kCloseNotify;
  std::string_view reason = {};
  bool resumed = false;  // kEstablished: by a ticket
};

// One side of one connection. Used by one thread, always with one engine of that thread, which must
// outlive it. Moving leaves nothing behind; there is no copy.
class TlsRecords {
 public:
  // RFC 6066 4: the peer asked for shorter records, of 2^(8 + code) bytes; 0: it did not.
  static constexpr std::uint8_t kFragmentCodeMax = 4;
  // Records in a row that bring nothing; none of them is anything that an honest peer does.
  static constexpr std::uint8_t kEmptyMax = 32;
  static constexpr std::uint8_t kUserCanceledMax = 4;
  // Key updates without data between them. Java sends one for each record that it gets when its
  // limits are low, while our answer waits behind what is queued; one costs 2 µs and no memory.
  static constexpr std::uint16_t kKeyUpdatesMax = 1000;
  // Of the peer's records under one key, were it never to update it: a peer who was asked to at
  // `records_per_key_max`, and is still at the old one, is refused.
  static constexpr std::uint32_t kSequenceMax = UINT32_MAX;

  TlsRecords() = default;  // of no connection: is_alive() is false
  // Neither sequence is above kSequenceMax.
  TlsRecords(TlsEngine& engine, TlsSuite suite, const TlsTraffic& read, const TlsTraffic& write,
             std::uint8_t fragment_code, TlsRole role = TlsRole::kServer);
  ~TlsRecords() { wipe(); }
  TlsRecords(TlsRecords&& other) noexcept { take(other); }
  TlsRecords& operator=(TlsRecords&& other) noexcept;
  TlsRecords(const TlsRecords&) = delete;
  TlsRecords& operator=(const TlsRecords&) = delete;

  // Reads at most one record from the front of `input`, opening it in place. The same bytes must
  // not be given twice once they were used. A record that cannot be right is refused as soon as its
  // header is there. After kClosed whatever follows is used and kNothing (6.1); after kAlerted and
  // kFailed the connection is over, and this must not be called again.
  TlsOpened open(TlsEngine& engine, MutableBytes input);

  // Seals the pieces, one behind the other, in as few records as they need; before them a KeyUpdate
  // where one is owed or due. Without pieces: only that. Returns the bytes written, at most
  // sealed_bytes_max(their size). Not after seal_alert().
  std::size_t seal(TlsEngine& engine, std::span<const Bytes> pieces, std::byte* out);
  std::size_t sealed_bytes_max(std::size_t plaintext_bytes) const;

  // Says that no more comes (6.1), or why (6.2): the last thing to be said. At most
  // kAlertBytes; 0 when one was sealed before.
  static constexpr std::size_t kAlertBytes = kTlsOverheadBytes + 2;
  std::size_t seal_alert(TlsEngine& engine, TlsAlert alert, std::byte* out);

  // Announces new keys for what we send; `ask`: and wants the same of the peer, unless that was
  // asked already. Said by the next seal().
  void update_keys(bool ask);
  // A KeyUpdate waits to be said: seal() soon, at once when nothing else is queued.
  bool owes() const { return has(kOwes) && !has(kWriteEnded); }

  bool is_alive() const { return has(kAlive); }
  bool has_read_end() const { return has(kReadEnded); }
  bool has_write_end() const { return has(kWriteEnded); }
  TlsSuite suite() const { return suite_; }
  std::uint64_t read_sequence() const { return read_.sequence; }
  std::uint64_t write_sequence() const { return write_.sequence; }
  // The longest plaintext of one record, either way.
  std::size_t fragment_bytes_max() const;

  // Before the state is destroyed: the engine forgets its keys too, and has its memory back.
  void end(TlsEngine& engine);

 private:
  enum Flag : std::uint8_t {
    kAlive = 1,
    kOwes = 2,    // a KeyUpdate is to be sent,
    kAsks = 4,    // which asks for the peer's
    kAwaits = 8,  // such a one was sent, and not answered yet (RFC 9846 4.7.3: one at a time)
    kReadEnded = 16,
    kWriteEnded = 32,
    kIsClient = 64,  // tickets may still come; they are passed over
  };
  bool has(Flag flag) const { return (flags_ & flag) != 0; }
  void set(Flag flag) { flags_ = static_cast<std::uint8_t>(flags_ | flag); }
  void clear(Flag flag) { flags_ = static_cast<std::uint8_t>(flags_ & ~flag); }

  // A direction's present secret, but for the tail of a long one.
  struct Traffic {
    TlsSecretHead head{};
    std::uint32_t sequence = 0;
  };
  TlsSecretView read_secret() const {
    return {read_.head, tails_ == nullptr ? kTlsNoTail : tails_->read};
  }
  TlsSecretView write_secret() const {
    return {write_.head, tails_ == nullptr ? kTlsNoTail : tails_->write};
  }
  static void put(const TlsSecret& secret, Traffic& traffic, TlsSecretTail* tail);
  void advance_read(TlsEngine& engine);
  void advance_write(TlsEngine& engine);

  void take(TlsRecords& other) noexcept;
  void wipe() noexcept;
  TlsOpened open_one(TlsEngine& engine, MutableBytes record);
  TlsOpened take_inner(TlsEngine& engine, MutableBytes inner);
  TlsOpened take_data(MutableBytes content);
  TlsOpened take_alert(Bytes content);
  TlsOpened take_handshake(TlsEngine& engine, Bytes content);
  TlsOpened take_tickets(Bytes content);
  TlsOpened take_key_update(TlsEngine& engine, bool asks);
  std::size_t seal_key_update(TlsEngine& engine, std::byte* out);
  std::size_t seal_one(TlsEngine& engine, TlsContent type, std::span<const Bytes> pieces,
                       std::byte* out);

  Traffic read_, write_;
  TlsSuite suite_ = TlsSuite::kAes128Gcm;
  std::uint8_t flags_ = 0;
  std::uint8_t fragment_code_ = 0;
  // Of a KeyUpdate that comes in pieces, how many bytes came: each can have one value only.
  std::uint8_t message_bytes_ = 0;
  std::uint8_t empty_ = 0;
  std::uint8_t user_canceled_ = 0;
  std::uint16_t key_updates_ = 0;
  TlsSecretTails* tails_ = nullptr;  // the engine's; null where the suite has none
};
static_assert(sizeof(TlsRecords) == 88, "what an idle wss connection costs beside an idle ws one");

}  // namespace holdfast::protocol
