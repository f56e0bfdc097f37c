#include "protocol/tls_client.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "protocol/tls_context.h"
#include "protocol/tls_handshake.h"
#include "protocol/tls_key_schedule.h"

namespace holdfast::protocol {
namespace {

// RFC 7301: the one protocol that a WebSocket begins with.
constexpr unsigned char kHttp11[] = "\x08http/1.1";
// RFC 1035 2.3.4: the longest name that there is, and that OpenSSL would send.
constexpr std::size_t kNameBytesMax = 255;

std::string last_error() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

Result<void> trust(SSL_CTX* context, const std::string& ca_file) {
  if (ca_file.empty()) {
    CHECK(SSL_CTX_set_default_verify_paths(context) == 1);
    ERR_clear_error();  // a system without certificates trusts nobody, which is no error yet
    return {};
  }
  if (SSL_CTX_load_verify_file(context, ca_file.c_str()) == 1) return {};
  return failure(fmt::format("'{}' holds no certificates as PEM: {}", ca_file, last_error()));
}

}  // namespace

void TlsClientContext::FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void TlsSessions::FreeSession::operator()(ssl_session_st* session) const {
  SSL_SESSION_free(session);
}

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::make(
    const TlsClientPolicy& policy) {
  if (policy.verify && policy.name.empty())
    return failure("without a name of the server, any certificate would do");
  if (policy.name.size() > kNameBytesMax)
    return failure(
        fmt::format("a name of {} bytes is longer than any server's", policy.name.size()));
  std::shared_ptr<TlsClientContext> result(new TlsClientContext);
  const char* properties = policy.detach ? tls_key_schedule_properties() : nullptr;
  result->context_.reset(SSL_CTX_new_ex(nullptr, properties, TLS_client_method()));
  result->detach_ = policy.detach;
  SSL_CTX* ssl = result->ssl();
  CHECK(ssl != nullptr);
  leave_out_padding(ssl);
  const bool only_12 = policy.versions == TlsVersions::k12Alone;
  const bool only_13 = policy.versions == TlsVersions::k13Alone;
  SSL_CTX_set_min_proto_version(ssl, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(ssl, only_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  CHECK(SSL_CTX_set_alpn_protos(ssl, kHttp11, sizeof kHttp11 - 1) == 0);
  // What tickets make goes to the connection's own keeper.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ssl, TlsHandshake::note_session);

  X509_VERIFY_PARAM* verification = SSL_CTX_get0_param(ssl);
  // RFC 9525 6.3: a wildcard is a whole label. "w*.example" names nobody.
  X509_VERIFY_PARAM_set_hostflags(verification, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(verification, policy.name.c_str()) == 1;
  if (!is_address) {
    ERR_clear_error();
    if (X509_VERIFY_PARAM_set1_host(verification, policy.name.c_str(), policy.name.size()) != 1)
      return failure(fmt::format("'{}' is no name that a certificate could have", policy.name));
    result->server_name_ = policy.name;
  }
  SSL_CTX_set_verify(ssl, policy.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (policy.verify) {
    if (auto trusted = trust(ssl, policy.ca_file); !trusted) return tl::unexpected(trusted.error());
  }
  return std::shared_ptr<const TlsClientContext>(std::move(result));
}

void TlsSessions::keep(ssl_session_st* session) {
  if (kept_.size() < kept_max_) {
    kept_.emplace_back(session);
    return;
  }
  kept_[oldest_].reset(session);
  oldest_ = (oldest_ + 1) % kept_max_;
}

ssl_session_st* TlsSessions::next() {
  if (kept_.empty()) return nullptr;
  turn_ = turn_ + 1 < kept_.size() ? turn_ + 1 : 0;
  return kept_[turn_].get();
}

}  // namespace holdfast::protocol
