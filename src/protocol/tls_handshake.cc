#include "protocol/tls_handshake.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "protocol/tls_certificate.h"

namespace holdfast::protocol {
namespace {

int handshake_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// How long the record in front is; 0: it is none that could be opened.
std::size_t record_bytes(Bytes records) {
  if (records.size() <= kTlsHeaderBytes + kTlsTagBytes) return 0;
  const std::size_t size = kTlsHeaderBytes + (std::to_integer<std::size_t>(records[3]) << 8) +
                           std::to_integer<std::size_t>(records[4]);
  return size > records.size() || size <= kTlsHeaderBytes + kTlsTagBytes ? 0 : size;
}

// Whether these were said before keys were used: not behind a ChangeCipherSpec of TLS 1.2 (RFC 5246
// 7.1), nor in records that look like data (RFC 8446 5.2). (The ChangeCipherSpec behind a
// HelloRetryRequest means nothing, but is taken for one that does.)
bool are_in_clear(Bytes records) {
  while (records.size() >= kTlsHeaderBytes) {
    if (records[0] != static_cast<std::byte>(TlsContent::kHandshake)) return false;
    const std::size_t size = kTlsHeaderBytes + (std::to_integer<std::size_t>(records[3]) << 8) +
                             std::to_integer<std::size_t>(records[4]);
    records = records.subspan(std::min(size, records.size()));
  }
  return true;
}

// Whether a record's inside is this application data, without padding.
bool is_data(Bytes inner, Bytes plaintext) {
  return inner.back() == static_cast<std::byte>(TlsContent::kApplicationData) &&
         std::equal(inner.begin(), inner.end() - 1, plaintext.begin(), plaintext.end());
}

}  // namespace

void TlsHandshake::FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsHandshake::TlsHandshake(std::shared_ptr<const TlsContext> context, bool newest_only)
    : role_(TlsRole::kServer),
      detaches_(context->detaches()),
      newest_only_(newest_only && context->allows_tls12()) {
  set_up(context->ssl());
  if (newest_only_) CHECK(SSL_set_min_proto_version(ssl_.get(), TLS1_3_VERSION) == 1);
  SSL_set_accept_state(ssl_.get());
  context_ = std::move(context);
}

TlsHandshake::TlsHandshake(std::shared_ptr<const TlsClientContext> context, TlsSessions* sessions,
                           ssl_session_st* resumed)
    : role_(TlsRole::kClient), detaches_(context->detaches()), sessions_(sessions) {
  set_up(context->ssl());
  SSL_set_connect_state(ssl_.get());
  if (!context->server_name().empty())
    CHECK(SSL_set_tlsext_host_name(ssl_.get(), context->server_name().c_str()) == 1);
  if (resumed != nullptr) CHECK(SSL_set_session(ssl_.get(), resumed) == 1);
  client_context_ = std::move(context);
}

void TlsHandshake::set_up(ssl_ctx_st* context) {
  ssl_.reset(SSL_new(context));
  CHECK(ssl_ != nullptr);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  CHECK(in != nullptr && out != nullptr);
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl_.get(), in, out);
  CHECK(SSL_set_ex_data(ssl_.get(), handshake_index(), this) == 1);
}

TlsHandshake::~TlsHandshake() {
  // Without it, SSL_free() takes the connection for one that broke, and its session, which others
  // may go on with, for one that must not be resumed.
  if (is_client() && SSL_is_init_finished(ssl_.get()) == 1)
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

int TlsHandshake::note_session(ssl_st* ssl, ssl_session_st* session) {
  const auto* self = static_cast<TlsHandshake*>(SSL_get_ex_data(ssl, handshake_index()));
  if (self == nullptr || self->sessions_ == nullptr) return 0;
  self->sessions_->keep(session);
  return 1;  // it is ours now
}

void TlsHandshake::start(std::vector<std::byte>& output) {
  ERR_clear_error();
  SSL_do_handshake(ssl_.get());
  ERR_clear_error();
  take_output(output);
}

void TlsHandshake::take_output(std::vector<std::byte>& output) {
  BIO* bio = SSL_get_wbio(ssl_.get());
  const std::size_t pending = BIO_ctrl_pending(bio);
  if (pending == 0) return;
  const std::size_t at = output.size();
  output.resize(at + pending);
  CHECK(BIO_read(bio, output.data() + at, static_cast<int>(pending)) == static_cast<int>(pending));
}

TlsHandshake::Progress TlsHandshake::feed(Bytes record, std::vector<std::byte>& output) {
  ERR_clear_error();
  CHECK(BIO_write(SSL_get_rbio(ssl_.get()), record.data(), static_cast<int>(record.size())) ==
        static_cast<int>(record.size()));
  const int result = [&] {
    const TlsSecretsTaker taker(secrets_);
    return SSL_do_handshake(ssl_.get());
  }();
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  const bool has_failed = result != 1 && error != SSL_ERROR_WANT_READ;
  if (has_failed) failure_ = why_it_failed();
  was_too_old_ = newest_only_ && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNSUPPORTED_PROTOCOL;
  ERR_clear_error();
  last_output_.clear();
  take_output(last_output_);
  is_in_clear_ = is_in_clear_ && are_in_clear(last_output_);
  output.insert(output.end(), last_output_.begin(), last_output_.end());
  if (has_failed) return Progress::kFailed;
  return result == 1 ? Progress::kDone : Progress::kMore;
}

TlsFailure TlsHandshake::why_it_failed() const {
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return {TlsFailure::Kind::kUnverified,
            X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()))};
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
      reason <= SSL_AD_REASON_OFFSET + UINT8_MAX)
    return {TlsFailure::Kind::kAlert, SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET)};
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return {TlsFailure::Kind::kOther, text == nullptr ? "the handshake failed" : text};
}

bool TlsHandshake::was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

std::unique_ptr<ClientCertificate> TlsHandshake::client_certificate() const {
  if (is_client() || !context_->asks_for_certificates()) return nullptr;
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return nullptr;
  return std::make_unique<ClientCertificate>(describe_certificate(certificate));
}

std::optional<TlsRecords> TlsHandshake::detach(TlsEngine& engine) {
  if (!detaches_ || SSL_version(ssl_.get()) != TLS1_3_VERSION) return std::nullopt;
  auto records = check_and_take(engine);
  was_unexpected_ = !records;
  // Without it, SSL_free() takes the connection for one that broke.
  if (records) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return records;
}

// The suite of a connection that is what we know, with nothing on its way.
std::optional<TlsSuite> TlsHandshake::suite_if_as_expected(const TlsEngine& engine) const {
  SSL* ssl = ssl_.get();
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  if (cipher == nullptr || !kept_.empty()) return std::nullopt;
  const auto suite = tls_suite_of(static_cast<std::uint16_t>(SSL_CIPHER_get_protocol_id(cipher)));
  if (!suite || !engine.knows(*suite)) return std::nullopt;
  const std::uint8_t bytes = traits_of(*suite).secret_bytes;
  if (secrets_.client_bytes != bytes || secrets_.server_bytes != bytes) return std::nullopt;
  if (SSL_pending(ssl) != 0 || SSL_has_pending(ssl) != 0 ||
      BIO_ctrl_pending(SSL_get_rbio(ssl)) != 0 || BIO_ctrl_pending(SSL_get_wbio(ssl)) != 0)
    return std::nullopt;
  if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED) return std::nullopt;
  if (SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE) return std::nullopt;
  return suite;
}

std::optional<TlsRecords> TlsHandshake::check_and_take(TlsEngine& engine) {
  const auto suite = suite_if_as_expected(engine);
  if (!suite) return std::nullopt;
  const auto tickets = count_tickets(engine, *suite);
  if (!tickets) return std::nullopt;
  TlsTraffic read{secrets_.client, 0}, write{secrets_.server, *tickets};
  auto records = take(engine, *suite, read, write);
  OPENSSL_cleanse(&read, sizeof read);
  OPENSSL_cleanse(&write, sizeof write);
  return records;
}

std::optional<TlsRecords> TlsHandshake::take(TlsEngine& engine, TlsSuite suite,
                                             const TlsTraffic& read, const TlsTraffic& write) {
  const std::uint8_t fragment = SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl_.get()));
  if (fragment > TlsRecords::kFragmentCodeMax) return std::nullopt;
  return std::optional<TlsRecords>(std::in_place, engine, suite, read, write, fragment, role_);
}

// A client's OpenSSL has both written and read by now: each record is what ours would have been.
std::optional<TlsRecords> TlsHandshake::detach_client(TlsEngine& engine, MutableBytes record,
                                                      Bytes plaintext) {
  if (!detaches_ || was_unexpected_ || SSL_version(ssl_.get()) != TLS1_3_VERSION)
    return std::nullopt;
  std::optional<TlsRecords> records;
  if (const auto suite = suite_if_as_expected(engine); suite && records_written_ > 0) {
    TlsTraffic read{secrets_.server, records_read_}, write{secrets_.client, records_written_};
    const auto inner = engine.open(*suite, secrets_.server, records_read_ - 1, record);
    if (inner && is_data(*inner, plaintext)) records = take(engine, *suite, read, write);
    OPENSSL_cleanse(&read, sizeof read);
    OPENSSL_cleanse(&write, sizeof write);
  }
  was_unexpected_ = !records;
  return records;
}

// The same of what a client's OpenSSL wrote.
void TlsHandshake::check_written(TlsEngine& engine, Bytes records, Bytes plaintext) {
  if (!is_client() || !detaches_ || SSL_version(ssl_.get()) != TLS1_3_VERSION) return;
  const auto suite = suite_if_as_expected(engine);
  std::vector<std::byte> copy(records.begin(), records.end());
  MutableBytes rest = copy;
  while (suite && !was_unexpected_ && !rest.empty()) {
    const std::size_t size = record_bytes(rest);
    if (size == 0) break;
    const auto inner = engine.open(*suite, secrets_.client, records_written_++, rest.first(size));
    const std::size_t data = size - kTlsOverheadBytes;
    if (!inner || data > plaintext.size() || !is_data(*inner, plaintext.first(data))) break;
    plaintext = plaintext.subspan(data);
    rest = rest.subspan(size);
  }
  if (!suite || !rest.empty() || !plaintext.empty()) was_unexpected_ = true;
}

// What OpenSSL wrote under the application key, which are tickets and nothing else: opening each
// with the secret that was noted, at its sequence number, shows that all three are right.
std::optional<std::uint64_t> TlsHandshake::count_tickets(TlsEngine& engine, TlsSuite suite) const {
  std::vector<std::byte> copy = last_output_;
  MutableBytes rest = copy;
  std::uint64_t count = 0;
  while (!rest.empty()) {
    const std::size_t size = record_bytes(rest);
    if (size == 0) return std::nullopt;
    const auto inner = engine.open(suite, secrets_.server, count++, rest.first(size));
    if (!inner || inner->back() != static_cast<std::byte>(TlsContent::kHandshake) ||
        inner->front() != static_cast<std::byte>(kTlsNewSessionTicket))
      return std::nullopt;
    rest = rest.subspan(size);
  }
  return count;
}

TlsOpened TlsHandshake::read(TlsEngine& engine, Bytes record, std::vector<std::byte>& plaintext,
                             std::vector<std::byte>& output) {
  using Kind = TlsOpened::Kind;
  ERR_clear_error();
  CHECK(BIO_write(SSL_get_rbio(ssl_.get()), record.data(), static_cast<int>(record.size())) ==
        static_cast<int>(record.size()));
  ++records_read_;
  plaintext.resize(kTlsPlaintextBytesMax);
  const int size = SSL_read(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
  const int error = size > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), size);
  failure_ = size > 0 ? TlsFailure{} : why_it_failed();
  ERR_clear_error();
  take_output(output);
  if (error == SSL_ERROR_WANT_READ && output.size() > kUnsaidBytesMax) {
    failure_ = {TlsFailure::Kind::kOther, "the peer asks on and on and reads no answer"};
    return {.kind = Kind::kFailed, .reason = failure_.text};
  }
  if (!kept_.empty()) write(engine, std::exchange(kept_, {}), output);
  if (size > 0)
    return {.kind = Kind::kData,
            .plaintext = MutableBytes(plaintext).first(static_cast<std::size_t>(size))};
  if (error == SSL_ERROR_WANT_READ) return {.kind = Kind::kNothing};
  if (error == SSL_ERROR_ZERO_RETURN) return {.kind = Kind::kClosed};
  return {.kind = Kind::kFailed, .reason = failure_.text};
}

// RFC 8446 5.1 lets a peer split a KeyUpdate. While OpenSSL has half of one, it says nothing. (Nor
// after close_notify; but then nobody has a right to.)
void TlsHandshake::write(TlsEngine& engine, Bytes plaintext, std::vector<std::byte>& output) {
  const bool may_say = kept_.empty() && !has_lost_;
  if (may_say && say(engine, plaintext, output)) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  if (!has_lost_ && kept_.size() + plaintext.size() <= kUnsaidBytesMax) {
    kept_.insert(kept_.end(), plaintext.begin(), plaintext.end());
    return;
  }
  has_lost_ = true;
  failure_ = {TlsFailure::Kind::kOther, "too much waited for the rest of a key update"};
  std::vector<std::byte>().swap(kept_);
}

// False: none of it was taken.
bool TlsHandshake::say(TlsEngine& engine, Bytes plaintext, std::vector<std::byte>& output) {
  ERR_clear_error();
  const auto size = static_cast<int>(plaintext.size());
  const bool is_said = size == 0 || SSL_write(ssl_.get(), plaintext.data(), size) == size;
  ERR_clear_error();
  const std::size_t before = output.size();
  take_output(output);
  check_written(engine, Bytes(output).subspan(before), is_said ? plaintext : Bytes());
  return is_said;
}

void TlsHandshake::write_close(std::vector<std::byte>& output) {
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  take_output(output);
}

}  // namespace holdfast::protocol
