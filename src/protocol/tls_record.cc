#include "protocol/tls_record.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

using Kind = TlsOpened::Kind;

constexpr std::size_t kKeyUpdateBytes = 5;  // type, three of length, request
constexpr std::size_t kPiecesPerRecordMax = 64;

TlsOpened failed(TlsAlert alert, std::string_view reason) {
  return {.kind = Kind::kFailed, .alert = alert, .reason = reason};
}

std::size_t number_at(Bytes bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]) << 8 | std::to_integer<std::size_t>(bytes[at + 1]);
}
std::size_t length_of(Bytes header) { return number_at(header, 3); }

// What can be said of a header by the bytes that are there.
std::optional<TlsOpened> judge_header(Bytes header, std::size_t ciphertext_bytes_max) {
  // RFC 8446 5: an unprotected record, after the handshake, is an unexpected message.
  if (!header.empty() && static_cast<TlsContent>(header[0]) != TlsContent::kApplicationData)
    return failed(TlsAlert::kUnexpectedMessage, "a record that is not protected");
  for (std::size_t i = 1; i < 3 && i < header.size(); ++i) {
    // RFC 8446 5.2: 0x0303. (A receiver may overlook it; OpenSSL does not.)
    if (header[i] != std::byte{3})
      return failed(TlsAlert::kDecodeError, "a record of another version");
  }
  if (header.size() < kTlsHeaderBytes) return std::nullopt;
  const std::size_t length = length_of(header);
  if (length > ciphertext_bytes_max)
    return failed(TlsAlert::kRecordOverflow, "a record that is too long");
  if (length <= kTlsTagBytes) return failed(TlsAlert::kBadRecordMac, "a record without content");
  return std::nullopt;
}

}  // namespace

TlsRecords::TlsRecords(TlsEngine& engine, TlsSuite suite, const TlsTraffic& read,
                       const TlsTraffic& write, std::uint8_t fragment_code, TlsRole role)
    : suite_(suite),
      flags_(role == TlsRole::kClient ? kAlive | kIsClient : kAlive),
      fragment_code_(fragment_code) {
  CHECK(fragment_code <= kFragmentCodeMax);
  CHECK(read.sequence <= kSequenceMax && write.sequence <= kSequenceMax);
  if (traits_of(suite).secret_bytes > kTlsSecretHeadBytes) tails_ = engine.take_tails();
  put(read.secret, read_, tails_ == nullptr ? nullptr : &tails_->read);
  put(write.secret, write_, tails_ == nullptr ? nullptr : &tails_->write);
  read_.sequence = static_cast<std::uint32_t>(read.sequence);
  write_.sequence = static_cast<std::uint32_t>(write.sequence);
}

void TlsRecords::put(const TlsSecret& secret, Traffic& traffic, TlsSecretTail* tail) {
  std::copy_n(secret.begin(), kTlsSecretHeadBytes, traffic.head.begin());
  if (tail != nullptr)
    std::copy_n(secret.begin() + kTlsSecretHeadBytes, kTlsSecretTailBytes, tail->begin());
}

void TlsRecords::advance_read(TlsEngine& engine) {
  TlsSecret next = engine.advance(suite_, read_secret());
  put(next, read_, tails_ == nullptr ? nullptr : &tails_->read);
  OPENSSL_cleanse(next.data(), next.size());
  read_.sequence = 0;
}

void TlsRecords::advance_write(TlsEngine& engine) {
  TlsSecret next = engine.advance(suite_, write_secret());
  put(next, write_, tails_ == nullptr ? nullptr : &tails_->write);
  OPENSSL_cleanse(next.data(), next.size());
  write_.sequence = 0;
}

TlsRecords& TlsRecords::operator=(TlsRecords&& other) noexcept {
  if (this != &other) {
    wipe();
    take(other);
  }
  return *this;
}

void TlsRecords::take(TlsRecords& other) noexcept {
  static_assert(std::is_trivially_copyable_v<Traffic>);
  read_ = other.read_;
  write_ = other.write_;
  suite_ = other.suite_;
  flags_ = other.flags_;
  fragment_code_ = other.fragment_code_;
  message_bytes_ = other.message_bytes_;
  empty_ = other.empty_;
  user_canceled_ = other.user_canceled_;
  key_updates_ = other.key_updates_;
  tails_ = std::exchange(other.tails_, nullptr);
  other.wipe();
}

void TlsRecords::wipe() noexcept {
  if (!has(kAlive)) return;
  OPENSSL_cleanse(&read_, sizeof read_);
  OPENSSL_cleanse(&write_, sizeof write_);
  if (tails_ != nullptr) OPENSSL_cleanse(tails_, sizeof *tails_);
  flags_ = 0;
}

void TlsRecords::end(TlsEngine& engine) {
  if (!has(kAlive)) return;
  engine.forget(suite_, read_secret());
  engine.forget(suite_, write_secret());
  wipe();
  if (tails_ != nullptr) engine.give_back(std::exchange(tails_, nullptr));
}

std::size_t TlsRecords::fragment_bytes_max() const {
  return fragment_code_ == 0 ? kTlsPlaintextBytesMax : std::size_t{1} << (8 + fragment_code_);
}

TlsOpened TlsRecords::open(TlsEngine& engine, MutableBytes input) {
  CHECK(has(kAlive));
  if (has(kReadEnded)) return {.kind = Kind::kNothing, .used = input.size()};
  if (auto wrong = judge_header(input.first(std::min(input.size(), kTlsHeaderBytes)),
                                kTlsCiphertextBytesMax)) {
    set(kReadEnded);
    return *wrong;
  }
  if (input.size() < kTlsHeaderBytes) return {};
  const std::size_t size = kTlsHeaderBytes + length_of(input);
  if (input.size() < size) return {};
  TlsOpened opened = open_one(engine, input.first(size));
  opened.used = size;
  if (opened.kind == Kind::kFailed || opened.kind == Kind::kAlerted || opened.kind == Kind::kClosed)
    set(kReadEnded);
  // RFC 8446 5.5: nobody holds the peer to its limit but we.
  if (read_.sequence == traits_of(suite_).records_per_key_max) update_keys(true);
  return opened;
}

TlsOpened TlsRecords::open_one(TlsEngine& engine, MutableBytes record) {
  // RFC 8446 5.3: a number that does not fit ends the connection.
  if (read_.sequence == kSequenceMax)
    return failed(TlsAlert::kUnexpectedMessage, "too many records under one key");
  const std::uint32_t sequence = read_.sequence++;
  const auto inner = engine.open(suite_, read_secret(), sequence, record);
  if (!inner) return failed(TlsAlert::kBadRecordMac, "a record that is not authentic");
  return take_inner(engine, *inner);
}

// RFC 8446 5.2, 5.4.
TlsOpened TlsRecords::take_inner(TlsEngine& engine, MutableBytes inner) {
  if (inner.size() > kTlsInnerBytesMax)
    return failed(TlsAlert::kRecordOverflow, "a record whose content is too long");
  std::size_t size = inner.size();
  while (size > 0 && inner[size - 1] == std::byte{0}) --size;
  if (size == 0) return failed(TlsAlert::kUnexpectedMessage, "a record of padding alone");
  const auto type = static_cast<TlsContent>(inner[size - 1]);
  const MutableBytes content = inner.first(size - 1);
  if (content.size() > fragment_bytes_max())
    return failed(TlsAlert::kRecordOverflow, "a record longer than the agreed fragment");
  // 5.1: pieces of a handshake message follow one on the other.
  if (message_bytes_ != 0 && type != TlsContent::kHandshake)
    return failed(TlsAlert::kUnexpectedMessage, "a record inside a handshake message");
  switch (type) {
    case TlsContent::kApplicationData:
      return take_data(content);
    case TlsContent::kAlert:
      return take_alert(content);
    case TlsContent::kHandshake:
      return take_handshake(engine, content);
    case TlsContent::kInvalid:
    case TlsContent::kChangeCipherSpec:
      break;
  }
  return failed(TlsAlert::kUnexpectedMessage, "a record of an unknown kind");
}

TlsOpened TlsRecords::take_data(MutableBytes content) {
  if (content.empty()) {
    if (++empty_ > kEmptyMax) return failed(TlsAlert::kUnexpectedMessage, "too many empty records");
    return {.kind = Kind::kNothing};
  }
  empty_ = 0;
  user_canceled_ = 0;
  key_updates_ = 0;
  return {.kind = Kind::kData, .plaintext = content};
}

// RFC 8446 6: two bytes, never in pieces. The level may be overlooked: but for two, all are fatal.
TlsOpened TlsRecords::take_alert(Bytes content) {
  if (content.size() != 2) return failed(TlsAlert::kUnexpectedMessage, "an alert of another size");
  const auto alert = static_cast<TlsAlert>(content[1]);
  if (alert == TlsAlert::kCloseNotify) return {.kind = Kind::kClosed};
  if (alert == TlsAlert::kUserCanceled) {
    if (++user_canceled_ > kUserCanceledMax)
      return failed(TlsAlert::kUnexpectedMessage, "too many warnings");
    return {.kind = Kind::kNothing};
  }
  return {.kind = Kind::kAlerted, .alert = alert};
}

// RFC 8446 4.6.3. Neither side asked for a certificate after the handshake (4.6.2), and tickets
// come from servers (4.6.1): so it is a KeyUpdate, or nothing that we want.
TlsOpened TlsRecords::take_handshake(TlsEngine& engine, Bytes content) {
  // 5.1: no empty fragments, though there be padding.
  if (content.empty()) return failed(TlsAlert::kUnexpectedMessage, "an empty handshake record");
  if (has(kIsClient) && message_bytes_ == 0 &&
      content.front() == static_cast<std::byte>(kTlsNewSessionTicket))
    return take_tickets(content);
  for (std::size_t at = 0; at < content.size(); ++at) {
    const auto byte = std::to_integer<std::uint8_t>(content[at]);
    switch (message_bytes_) {
      case 0:
        if (byte != kTlsKeyUpdate)
          return failed(TlsAlert::kUnexpectedMessage, "a handshake message after the handshake");
        break;
      case 1:
      case 2:
      case 3:
        if (byte != (message_bytes_ == 3 ? 1 : 0))
          return failed(TlsAlert::kDecodeError, "a key update of another size");
        break;
      case 4:
        // 5.1: what changes the keys ends its record.
        if (at + 1 != content.size())
          return failed(TlsAlert::kUnexpectedMessage, "bytes behind a key update");
        if (byte > 1)
          return failed(TlsAlert::kIllegalParameter, "a key update that asks for nothing known");
        message_bytes_ = 0;
        return take_key_update(engine, byte == 1);
      default:
        CHECK(false);  // it has five bytes
    }
    ++message_bytes_;
  }
  return {.kind = Kind::kNothing};
}

// RFC 8446 4.6.1. A ticket is of use to OpenSSL alone, which is gone. Servers send each in one
// record; one in pieces would have to be remembered, and is refused.
TlsOpened TlsRecords::take_tickets(Bytes content) {
  constexpr std::size_t kHeadBytes = 4;  // type, three of length
  while (!content.empty()) {
    if (content.front() != static_cast<std::byte>(kTlsNewSessionTicket))
      return failed(TlsAlert::kUnexpectedMessage, "a handshake message after the handshake");
    if (content.size() < kHeadBytes || content[1] != std::byte{0} ||
        content.size() - kHeadBytes < number_at(content, 2))
      return failed(TlsAlert::kUnexpectedMessage, "a ticket in pieces");
    content = content.subspan(kHeadBytes + number_at(content, 2));
  }
  if (++key_updates_ > kKeyUpdatesMax)
    return failed(TlsAlert::kUnexpectedMessage, "too many tickets");
  return {.kind = Kind::kNothing};
}

TlsOpened TlsRecords::take_key_update(TlsEngine& engine, bool asks) {
  if (++key_updates_ > kKeyUpdatesMax)
    return failed(TlsAlert::kUnexpectedMessage, "too many key updates");
  advance_read(engine);
  clear(kAwaits);
  if (asks) set(kOwes);
  return {.kind = Kind::kNothing};
}

void TlsRecords::update_keys(bool ask) {
  set(kOwes);
  if (ask && !has(kAwaits)) set(kAsks);
}

std::size_t TlsRecords::sealed_bytes_max(std::size_t plaintext_bytes) const {
  // A record for each full fragment, one for the rest, one for the pieces' sake in each
  // kPiecesPerRecordMax of them (which are no more than their bytes), and the key updates: one that
  // is owed, one that is due.
  const std::size_t records =
      plaintext_bytes / fragment_bytes_max() + 1 + plaintext_bytes / kPiecesPerRecordMax;
  return plaintext_bytes + records * kTlsOverheadBytes + 2 * (kTlsOverheadBytes + kKeyUpdateBytes);
}

std::size_t TlsRecords::seal_one(TlsEngine& engine, TlsContent type, std::span<const Bytes> pieces,
                                 std::byte* out) {
  const std::uint32_t sequence = write_.sequence++;
  return engine.seal(suite_, write_secret(), sequence, type, pieces, 0, out);
}

std::size_t TlsRecords::seal_key_update(TlsEngine& engine, std::byte* out) {
  const bool asks = has(kAsks);
  const std::array<std::byte, kKeyUpdateBytes> message = {static_cast<std::byte>(kTlsKeyUpdate),
                                                          std::byte{0}, std::byte{0}, std::byte{1},
                                                          static_cast<std::byte>(asks ? 1 : 0)};
  const Bytes piece = message;
  const std::size_t size = seal_one(engine, TlsContent::kHandshake, {&piece, 1}, out);
  advance_write(engine);
  clear(kOwes);
  clear(kAsks);
  if (asks) set(kAwaits);
  return size;
}

std::size_t TlsRecords::seal(TlsEngine& engine, std::span<const Bytes> pieces, std::byte* out) {
  CHECK(has(kAlive) && !has(kWriteEnded));
  std::byte* end = out;
  if (has(kOwes)) end += seal_key_update(engine, end);
  std::array<Bytes, kPiecesPerRecordMax> record;
  const std::size_t room = fragment_bytes_max();
  std::size_t piece = 0, offset = 0;
  while (piece < pieces.size()) {
    std::size_t count = 0, bytes = 0;
    while (piece < pieces.size() && count < record.size() && bytes < room) {
      const Bytes rest = pieces[piece].subspan(offset);
      const Bytes taken = rest.first(std::min(rest.size(), room - bytes));
      if (!taken.empty()) record[count++] = taken;
      bytes += taken.size();
      offset = taken.size() < rest.size() ? offset + taken.size() : 0;
      if (taken.size() == rest.size()) ++piece;
    }
    if (count == 0) break;
    if (write_.sequence >= traits_of(suite_).records_per_key_max - 1)
      end += seal_key_update(engine, end);
    end += seal_one(engine, TlsContent::kApplicationData, {record.data(), count}, end);
  }
  return static_cast<std::size_t>(end - out);
}

std::size_t TlsRecords::seal_alert(TlsEngine& engine, TlsAlert alert, std::byte* out) {
  CHECK(has(kAlive));
  if (has(kWriteEnded)) return 0;
  set(kWriteEnded);
  const std::array<std::byte, 2> message = {
      static_cast<std::byte>(alert == TlsAlert::kCloseNotify ? 1 : 2),
      static_cast<std::byte>(alert)};
  const Bytes piece = message;
  return seal_one(engine, TlsContent::kAlert, {&piece, 1}, out);
}

}  // namespace holdfast::protocol
