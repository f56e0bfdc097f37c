#include "simulator/tls_end.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace holdfast::simulator {

void TlsEnd::FreeSsl::operator()(ssl_st* ssl) const {
  // Else it takes the connection for one that broke, and its session for one that must not be
  // resumed.
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
}

TlsEnd::TlsEnd(Random& random, TlsScene& scene)
    : random_(random),
      scene_(scene),
      ssl_(SSL_new(TlsScene::clients())),
      is_old_(random.chance(12)) {
  SSL* ssl = ssl_.get();
  CHECK(ssl != nullptr);
  SSL_set_app_data(ssl, this);
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
  SSL_set_connect_state(ssl);
  draw_terms();
  shake_hands();
}

void TlsEnd::draw_terms() {
  constexpr std::array<const char*, 3> kSuites = {
      "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
  // The second one's first guess is a group that the server does not take: HelloRetryRequest.
  constexpr std::array<const char*, 3> kGroups = {"X25519", "P-521:P-256", "P-256:X25519"};
  constexpr std::array<unsigned, 3> kGroupWeights = {80, 12, 8};
  SSL* ssl = ssl_.get();
  CHECK(SSL_set1_host(ssl, TlsScene::kName) == 1);
  CHECK(SSL_set_tlsext_host_name(ssl, TlsScene::kName) == 1);
  CHECK(SSL_set1_groups_list(ssl, kGroups[random_.weighted(kGroupWeights)]) == 1);
  if (is_old_) {
    CHECK(SSL_set_max_proto_version(ssl, TLS1_2_VERSION) == 1);
  } else {
    if (random_.chance(70)) CHECK(SSL_set_min_proto_version(ssl, TLS1_3_VERSION) == 1);
    if (random_.chance(40))
      CHECK(SSL_set_ciphersuites(ssl, kSuites[random_.below(kSuites.size())]) == 1);
    if (random_.chance(15)) CHECK(SSL_set_block_padding(ssl, random_.between(2, 600)) == 1);
  }
  // RFC 6066 4. Who goes on with a session asks for its length again, else OpenSSL's server answers
  // what was not asked.
  SSL_SESSION* session = random_.chance(50) ? scene_.any_session(random_) : nullptr;
  const auto drawn = static_cast<std::uint8_t>(
      random_.chance(85)
          ? TLSEXT_max_fragment_length_DISABLED
          : random_.between(TLSEXT_max_fragment_length_512, TLSEXT_max_fragment_length_4096));
  const std::uint8_t code =
      session == nullptr ? drawn : SSL_SESSION_get_max_fragment_length(session);
  CHECK(SSL_set_tlsext_max_fragment_length(ssl, code) == 1);
  if (random_.chance(20))
    CHECK(SSL_set_max_send_fragment(ssl, static_cast<long>(random_.between(512, 2'000))) == 1);
  if (session != nullptr) CHECK(SSL_set_session(ssl, session) == 1);
}

int TlsEnd::note_session(ssl_st* ssl, ssl_session_st* session) {
  static_cast<TlsEnd*>(SSL_get_app_data(ssl))->scene_.keep(session);
  return 1;  // it is the scene's now
}

void TlsEnd::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return take_error(result);
  state_ = State::kTalking;
  say_what_waits();
}

void TlsEnd::take_error(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      break;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kEnded;
      break;
    default: {
      const char* reason = ERR_reason_error_string(ERR_peek_last_error());
      state_ = State::kFailed;
      reason_ = reason == nullptr ? "unknown" : reason;
      ++scene_.failures;
    }
  }
  ERR_clear_error();
}

void TlsEnd::say(std::string_view plaintext) {
  unsaid_ += plaintext;
  say_what_waits();
}

void TlsEnd::say_what_waits() {
  // Who was told close_notify may go on talking (RFC 8446 6.1).
  if (state_ == State::kShaking || state_ == State::kFailed || has_said_end_) return;
  ERR_clear_error();
  std::string_view rest = unsaid_;
  while (!rest.empty()) {
    const std::size_t size = random_.chance(80) ? rest.size() : random_.between(1, rest.size());
    const int result = SSL_write(ssl_.get(), rest.data(), static_cast<int>(size));
    if (result <= 0) return take_error(result);
    rest.remove_prefix(static_cast<std::size_t>(result));
  }
  unsaid_.clear();
}

std::string TlsEnd::hear(std::string_view records) {
  std::string plaintext;
  CHECK(BIO_write(SSL_get_rbio(ssl_.get()), records.data(), static_cast<int>(records.size())) ==
        static_cast<int>(records.size()));
  if (state_ == State::kShaking) shake_hands();
  while (state_ == State::kTalking) {
    std::array<char, 16'384> buffer;
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (result > 0) {
      has_heard_ = true;
      plaintext.append(buffer.data(), static_cast<std::size_t>(result));
      continue;
    }
    take_error(result);
    break;
  }
  return plaintext;
}

std::string TlsEnd::take_output() {
  BIO* bio = SSL_get_wbio(ssl_.get());
  std::string output(BIO_ctrl_pending(bio), '\0');
  if (!output.empty())
    CHECK(BIO_read(bio, output.data(), static_cast<int>(output.size())) ==
          static_cast<int>(output.size()));
  return output;
}

// Not in TLS 1.2, which would renegotiate.
void TlsEnd::update_keys(bool ask) {
  if (state_ != State::kTalking || is_old_ || has_said_end_) return;
  if (SSL_version(ssl_.get()) != TLS1_3_VERSION) return;
  const int kind = ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
  CHECK(SSL_key_update(ssl_.get(), kind) == 1);
  ++scene_.key_updates;
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) take_error(result);
}

void TlsEnd::end() {
  if (state_ == State::kShaking || state_ == State::kFailed || has_said_end_) return;
  has_said_end_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

bool TlsEnd::has_more() const { return BIO_ctrl_pending(SSL_get_rbio(ssl_.get())) > 0; }

}  // namespace holdfast::simulator
