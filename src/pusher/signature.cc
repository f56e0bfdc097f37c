#include "pusher/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/check.h"
#include "pusher/query.h"

namespace holdfast::pusher {
namespace {

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

std::string sign(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
             &size) != nullptr);
  return hexadecimal(digest.data(), size);
}

std::string md5_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) == 1);
  return hexadecimal(digest.data(), size);
}

bool is_same(std::string_view given, std::string_view wanted) {
  return given.size() == wanted.size() &&
         CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

std::string text_to_join(std::string_view socket_id, std::string_view channel,
                         std::optional<std::string_view> channel_data) {
  std::string text(socket_id);
  text += ':';
  text += channel;
  if (channel_data) {
    text += ':';
    text += *channel_data;
  }
  return text;
}

std::string text_to_sign_in(std::string_view socket_id, std::string_view user_data) {
  std::string text(socket_id);
  text += "::user::";
  text += user_data;
  return text;
}

std::string text_of_request(std::string_view method, std::string_view path,
                            std::string_view query) {
  Query parameters = parse_query(query);
  parameters.erase("auth_signature");
  std::string text(method);
  text += '\n';
  text += path;
  text += '\n';
  bool first = true;
  for (const auto& [name, value] : parameters) {
    if (!first) text += '&';
    first = false;
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

bool is_signed(std::string_view auth, std::string_view key, std::string_view secret,
               std::string_view text) {
  const std::size_t colon = auth.find(':');
  if (colon == std::string_view::npos) return false;
  return is_same(auth.substr(0, colon), key) && is_same(auth.substr(colon + 1), sign(secret, text));
}

}  // namespace holdfast::pusher
