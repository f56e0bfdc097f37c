#include "protocol/tls_handshake.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

#include "base/check.h"
#include "protocol/tls_certificate.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kClientLabel = "CLIENT_TRAFFIC_SECRET_0 ";
constexpr std::string_view kServerLabel = "SERVER_TRAFFIC_SECRET_0 ";

int handshake_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The bytes of a secret written in hexadecimal; 0: it is none.
std::uint8_t read_secret(std::string_view hex, TlsSecret& secret) {
  if (hex.size() % 2 != 0 || hex.size() / 2 > secret.size()) return 0;
  for (std::size_t i = 0; i < hex.size() / 2; ++i) {
    const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return 0;
    secret[i] = static_cast<std::byte>(high << 4 | low);
  }
  return static_cast<std::uint8_t>(hex.size() / 2);
}

}  // namespace

void TlsHandshake::FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsHandshake::TlsHandshake(std::shared_ptr<const TlsContext> context)
    : context_(std::move(context)), ssl_(SSL_new(context_->ssl())) {
  CHECK(ssl_ != nullptr);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  CHECK(in != nullptr && out != nullptr);
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_accept_state(ssl_.get());
  CHECK(SSL_set_ex_data(ssl_.get(), handshake_index(), this) == 1);
}

TlsHandshake::~TlsHandshake() {
  OPENSSL_cleanse(client_secret_.data(), client_secret_.size());
  OPENSSL_cleanse(server_secret_.data(), server_secret_.size());
}

void TlsHandshake::note_secret(const ssl_st* ssl, const char* line) {
  auto* self = static_cast<TlsHandshake*>(SSL_get_ex_data(ssl, handshake_index()));
  if (self == nullptr) return;
  const std::string_view text(line);
  const std::size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return;
  const std::string_view hex = text.substr(space + 1);
  if (text.starts_with(kClientLabel))
    self->client_secret_bytes_ = read_secret(hex, self->client_secret_);
  if (text.starts_with(kServerLabel))
    self->server_secret_bytes_ = read_secret(hex, self->server_secret_);
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
  const int result = SSL_do_handshake(ssl_.get());
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  last_output_.clear();
  take_output(last_output_);
  output.insert(output.end(), last_output_.begin(), last_output_.end());
  if (result == 1) return Progress::kDone;
  return error == SSL_ERROR_WANT_READ ? Progress::kMore : Progress::kFailed;
}

bool TlsHandshake::was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

std::unique_ptr<ClientCertificate> TlsHandshake::client_certificate() const {
  if (!context_->asks_for_certificates()) return nullptr;
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return nullptr;
  return std::make_unique<ClientCertificate>(describe_certificate(certificate));
}

std::optional<TlsRecords> TlsHandshake::detach(TlsEngine& engine) {
  if (!context_->detaches() || SSL_version(ssl_.get()) != TLS1_3_VERSION) return std::nullopt;
  auto records = check_and_take(engine);
  was_unexpected_ = !records;
  // Without it, SSL_free() takes the connection for one that broke.
  if (records) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return records;
}

std::optional<TlsRecords> TlsHandshake::check_and_take(TlsEngine& engine) {
  SSL* ssl = ssl_.get();
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  if (cipher == nullptr) return std::nullopt;
  const auto suite = tls_suite_of(static_cast<std::uint16_t>(SSL_CIPHER_get_protocol_id(cipher)));
  if (!suite) return std::nullopt;
  const std::uint8_t bytes = traits_of(*suite).secret_bytes;
  if (client_secret_bytes_ != bytes || server_secret_bytes_ != bytes) return std::nullopt;
  if (SSL_pending(ssl) != 0 || SSL_has_pending(ssl) != 0 ||
      BIO_ctrl_pending(SSL_get_rbio(ssl)) != 0 || BIO_ctrl_pending(SSL_get_wbio(ssl)) != 0)
    return std::nullopt;
  if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED) return std::nullopt;
  if (SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE) return std::nullopt;
  const auto tickets = count_tickets(engine, *suite);
  if (!tickets) return std::nullopt;
  const std::uint8_t fragment = SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl));
  if (fragment > TlsRecords::kFragmentCodeMax) return std::nullopt;
  TlsTraffic read{client_secret_, 0}, write{server_secret_, *tickets};
  std::optional<TlsRecords> records(std::in_place, *suite, read, write, fragment);
  OPENSSL_cleanse(&read, sizeof read);
  OPENSSL_cleanse(&write, sizeof write);
  return records;
}

// What OpenSSL wrote under the application key, which are tickets and nothing else: opening each
// with the secret that was noted, at its sequence number, shows that all three are right.
std::optional<std::uint64_t> TlsHandshake::count_tickets(TlsEngine& engine, TlsSuite suite) const {
  std::vector<std::byte> copy = last_output_;
  MutableBytes rest = copy;
  std::uint64_t count = 0;
  while (!rest.empty()) {
    if (rest.size() <= kTlsHeaderBytes + kTlsTagBytes) return std::nullopt;
    const std::size_t size = kTlsHeaderBytes + (std::to_integer<std::size_t>(rest[3]) << 8) +
                             std::to_integer<std::size_t>(rest[4]);
    if (size > rest.size() || size <= kTlsHeaderBytes + kTlsTagBytes) return std::nullopt;
    const auto inner = engine.open(suite, server_secret_, count++, rest.first(size));
    if (!inner || inner->back() != static_cast<std::byte>(TlsContent::kHandshake) ||
        inner->front() != static_cast<std::byte>(kTlsNewSessionTicket))
      return std::nullopt;
    rest = rest.subspan(size);
  }
  return count;
}

TlsOpened TlsHandshake::read(Bytes record, std::vector<std::byte>& plaintext,
                             std::vector<std::byte>& output) {
  using Kind = TlsOpened::Kind;
  ERR_clear_error();
  CHECK(BIO_write(SSL_get_rbio(ssl_.get()), record.data(), static_cast<int>(record.size())) ==
        static_cast<int>(record.size()));
  plaintext.resize(kTlsPlaintextBytesMax);
  const int size = SSL_read(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
  const int error = size > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), size);
  ERR_clear_error();
  take_output(output);
  if (size > 0)
    return {.kind = Kind::kData,
            .plaintext = MutableBytes(plaintext).first(static_cast<std::size_t>(size))};
  if (error == SSL_ERROR_WANT_READ) return {.kind = Kind::kNothing};
  if (error == SSL_ERROR_ZERO_RETURN) return {.kind = Kind::kClosed};
  return {.kind = Kind::kFailed, .reason = "TLS failed"};
}

void TlsHandshake::write(Bytes plaintext, std::vector<std::byte>& output) {
  ERR_clear_error();
  if (!plaintext.empty())
    SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
  ERR_clear_error();
  take_output(output);
}

void TlsHandshake::write_close(std::vector<std::byte>& output) {
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  take_output(output);
}

}  // namespace holdfast::protocol
