#include "protocol/tls_key_schedule.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <optional>
#include <string_view>

#include "base/check.h"
#include "protocol/tls_hkdf.h"

namespace holdfast::protocol {
namespace {

constexpr char kProvider[] = "holdfast";
constexpr std::string_view kClientLabel = "c ap traffic";
constexpr std::string_view kServerLabel = "s ap traffic";

thread_local TlsSecrets* taking = nullptr;

TlsHkdf& local_hkdf() {
  thread_local TlsHkdf hkdf;
  return hkdf;
}

Bytes octets(const OSSL_PARAM* parameters, const char* name) {
  const OSSL_PARAM* found = OSSL_PARAM_locate_const(parameters, name);
  if (found == nullptr || found->data_type != OSSL_PARAM_OCTET_STRING || found->data == nullptr)
    return {};
  return {static_cast<const std::byte*>(found->data), found->data_size};
}

std::optional<TlsDigest> digest_of(const OSSL_PARAM* parameters) {
  const OSSL_PARAM* found = OSSL_PARAM_locate_const(parameters, OSSL_KDF_PARAM_DIGEST);
  const char* name = nullptr;
  if (found == nullptr || OSSL_PARAM_get_utf8_string_ptr(found, &name) != 1) return std::nullopt;
  const std::string_view text(name);
  if (text == "SHA256" || text == "SHA2-256") return TlsDigest::kSha256;
  if (text == "SHA384" || text == "SHA2-384") return TlsDigest::kSha384;
  return std::nullopt;
}

// RFC 8446 7.1: what lies between one extraction and the next is Derive-Secret(., "derived", ""),
// whose context is the hash of nothing.
void extract(TlsDigest digest, Bytes before, std::string_view label, Bytes key, MutableBytes out) {
  static constexpr std::array<std::byte, kTlsDigestBytesMax> kZeros{};
  TlsHkdf& hkdf = local_hkdf();
  const std::size_t bytes = bytes_of(digest);
  std::array<std::byte, kTlsDigestBytesMax> salt;
  if (!before.empty()) {
    std::array<std::byte, kTlsDigestBytesMax> nothing;
    CHECK(EVP_Q_digest(nullptr, kTlsDigestNames[static_cast<std::size_t>(digest)], nullptr, "", 0,
                       reinterpret_cast<unsigned char*>(nothing.data()), nullptr) == 1);
    hkdf.expand_label(digest, before, label, Bytes(nothing).first(bytes),
                      MutableBytes(salt).first(bytes));
  }
  hkdf.extract(digest, before.empty() ? Bytes() : Bytes(salt).first(bytes),
               key.empty() ? Bytes(kZeros).first(bytes) : key, out);
  OPENSSL_cleanse(salt.data(), salt.size());
}

void note(std::string_view label, Bytes secret) {
  if (taking == nullptr || secret.size() > kTlsSecretBytesMax) return;
  const bool is_client = label == kClientLabel;
  if (!is_client && label != kServerLabel) return;
  std::copy(secret.begin(), secret.end(), (is_client ? taking->client : taking->server).begin());
  (is_client ? taking->client_bytes : taking->server_bytes) =
      static_cast<std::uint8_t>(secret.size());
}

// Provider functions (provider-kdf(7)): 1 is success. What we were not asked before is refused,
// and the handshake fails.
int derive(void*, unsigned char* key, std::size_t size, const OSSL_PARAM parameters[]) {
  if (parameters == nullptr || size == 0) return 0;
  int mode = -1;
  const OSSL_PARAM* given_mode = OSSL_PARAM_locate_const(parameters, OSSL_KDF_PARAM_MODE);
  const auto digest = digest_of(parameters);
  if (given_mode == nullptr || OSSL_PARAM_get_int(given_mode, &mode) != 1 || !digest) return 0;
  if (as_text(octets(parameters, OSSL_KDF_PARAM_PREFIX)) != "tls13 ") return 0;
  const std::string_view label = as_text(octets(parameters, OSSL_KDF_PARAM_LABEL));
  const Bytes secret = octets(parameters, OSSL_KDF_PARAM_KEY);
  const MutableBytes out(reinterpret_cast<std::byte*>(key), size);
  if (label.size() > 249) return 0;
  if (mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY) {
    if (size != bytes_of(*digest)) return 0;
    extract(*digest, octets(parameters, OSSL_KDF_PARAM_SALT), label, secret, out);
    return 1;
  }
  const Bytes context = octets(parameters, OSSL_KDF_PARAM_DATA);
  if (mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || secret.empty() || context.size() > 255 ||
      size > 255 * bytes_of(*digest))
    return 0;
  local_hkdf().expand_label(*digest, secret, label, context, out);
  note(label, out);
  return 1;
}

// Nothing is kept between calls; but a context must be something.
char any_context;
void* new_context(void*) { return &any_context; }
void free_context(void*) {}

template <class Function>
OSSL_DISPATCH entry(int id, Function* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_store) {
  static const OSSL_DISPATCH functions[] = {entry(OSSL_FUNC_KDF_NEWCTX, new_context),
                                            entry(OSSL_FUNC_KDF_FREECTX, free_context),
                                            entry(OSSL_FUNC_KDF_DERIVE, derive),
                                            {0, nullptr}};
  static const OSSL_ALGORITHM algorithms[] = {
      {OSSL_KDF_NAME_TLS1_3_KDF, "provider=holdfast", functions, nullptr},
      {nullptr, nullptr, nullptr, nullptr}};
  *no_store = 0;
  return operation == OSSL_OP_KDF ? algorithms : nullptr;
}

int start(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** ours,
          void** context) {
  static const OSSL_DISPATCH functions[] = {entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                                            {0, nullptr}};
  *ours = functions;
  *context = &any_context;
  return 1;
}

}  // namespace

TlsSecrets::~TlsSecrets() {
  OPENSSL_cleanse(client.data(), client.size());
  OPENSSL_cleanse(server.data(), server.size());
}

TlsSecretsTaker::TlsSecretsTaker(TlsSecrets& secrets) {
  CHECK(taking == nullptr);
  taking = &secrets;
}

TlsSecretsTaker::~TlsSecretsTaker() {
  taking = nullptr;
  local_hkdf().forget(TlsDigest::kSha256);
  local_hkdf().forget(TlsDigest::kSha384);
}

const char* tls_key_schedule_properties() {
  // Kept for as long as the process runs. Who asks for no provider gets the algorithm that was
  // found first: OpenSSL's own. The third argument leaves that in force, which else is there only
  // as long as no other provider was asked for.
  static OSSL_PROVIDER* const provider = [] {
    EVP_KDF_free(EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, nullptr));
    CHECK(OSSL_PROVIDER_add_builtin(nullptr, kProvider, start) == 1);
    return OSSL_PROVIDER_try_load(nullptr, kProvider, 1);
  }();
  CHECK(provider != nullptr);
  return "?provider=holdfast";
}

}  // namespace holdfast::protocol
