#include "protocol/handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "protocol/extension_list.h"
#include "protocol/http_header.h"
#include "protocol/subprotocol.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3
constexpr std::string_view kVersion = "13";                                 // RFC 6455 4.1
constexpr std::size_t kSha1Bytes = 20;

// What follows "Sec-WebSocket-Accept: " is the proof.
constexpr std::string_view kResponseHead =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: ";
constexpr std::string_view kSubprotocolName = "\r\nSec-WebSocket-Protocol: ";
constexpr std::string_view kExtensionsName = "\r\nSec-WebSocket-Extensions: ";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
static_assert(kResponseHead.size() + kAcceptBytes + kSubprotocolName.size() + kSubprotocolBytesMax +
                  kExtensionsName.size() + kExtensionsBytesMax + kHeadEnd.size() <=
              kHandshakeResponseBytesMax);

// OpenSSL looks an algorithm up by name at every use unless it was fetched: that costs twice as
// much as the hash.
const EVP_MD* sha1() {
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  CHECK(fetched != nullptr);
  return fetched;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

EVP_MD_CTX* sha1_context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  CHECK(context != nullptr);
  return context.get();
}

// RFC 6455 4.2.2: base64 of SHA-1 of the key with the GUID behind it. One more byte, for
// OpenSSL's closing NUL.
std::array<char, kAcceptBytes + 1> accept_of(std::string_view key) {
  std::array<char, kKeyBytes + kGuid.size()> text;
  CHECK(key.size() == kKeyBytes);
  std::memcpy(text.data(), key.data(), kKeyBytes);
  std::memcpy(text.data() + kKeyBytes, kGuid.data(), kGuid.size());

  std::array<unsigned char, kSha1Bytes> digest;
  EVP_MD_CTX* const context = sha1_context();
  CHECK(EVP_DigestInit_ex2(context, sha1(), nullptr) == 1 &&
        EVP_DigestUpdate(context, text.data(), text.size()) == 1 &&
        EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);

  std::array<char, kAcceptBytes + 1> accept;
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(accept.data()), digest.data(), kSha1Bytes);
  return accept;
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

// 16 bytes in base64 are 22 characters and two of padding.
bool is_key(std::string_view key) {
  if (key.size() != kKeyBytes || !key.ends_with("==")) return false;
  key.remove_suffix(2);
  return std::all_of(key.begin(), key.end(), is_base64);
}

// The fields that matter, out of one walk over all of them.
struct Offer {
  bool upgrade = false;
  bool connection = false;
  bool subprotocols_well_formed = true;
  bool extensions = false;
  int keys = 0;
  int versions = 0;
  std::string_view key;
  std::string_view version;
};

Offer read_offer(std::span<const HttpHeader> headers) {
  Offer offer;
  for (const auto& [name, value] : headers) {
    if (equals_ignoring_case(name, "upgrade")) {
      offer.upgrade = offer.upgrade || lists_token(value, "websocket");
    } else if (equals_ignoring_case(name, "connection")) {
      offer.connection = offer.connection || lists_token(value, "upgrade");
    } else if (equals_ignoring_case(name, "sec-websocket-key")) {
      ++offer.keys;
      offer.key = value;
    } else if (equals_ignoring_case(name, "sec-websocket-version")) {
      ++offer.versions;
      offer.version = value;
    } else if (equals_ignoring_case(name, "sec-websocket-protocol")) {
      offer.subprotocols_well_formed = offer.subprotocols_well_formed && is_subprotocol_list(value);
    } else if (equals_ignoring_case(name, kExtensionsField)) {
      offer.extensions = true;
    }
  }
  return offer;
}

bool is_visible(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

HandshakeVerdict judge_handshake(const HttpRequest& request) {
  if (request.method != "GET") return {405, "a WebSocket opens with GET", {}};
  if (request.minor_version < 1) return {400, "a WebSocket needs HTTP/1.1", {}};
  const Offer offer = read_offer(request.headers);
  if (!offer.upgrade) return {400, "Upgrade does not list websocket", {}};
  if (!offer.connection) return {400, "Connection does not list upgrade", {}};
  if (offer.versions > 1) return {400, "more than one Sec-WebSocket-Version", {}};
  // RFC 6455 4.2.2: any other version is answered with the one that we speak.
  if (offer.version != kVersion) return {426, "Sec-WebSocket-Version must be 13", {}};
  if (offer.keys != 1 || !is_key(offer.key)) {
    return {400, "Sec-WebSocket-Key must be one key of 16 bytes in base64", {}};
  }
  if (!offer.subprotocols_well_formed) {
    return {400, "Sec-WebSocket-Protocol must be a list of tokens", {}};
  }
  if (offer.extensions && judge_extensions(request.headers) == ExtensionsVerdict::kMalformed) {
    return {400, "Sec-WebSocket-Extensions is malformed", {}};
  }
  return {101, {}, offer.key};
}

std::size_t write_handshake_response(std::byte* out, std::string_view key,
                                     std::string_view subprotocol, std::string_view extensions) {
  CHECK(subprotocol.size() <= kSubprotocolBytesMax && extensions.size() <= kExtensionsBytesMax);
  std::byte* end = out;
  const auto append = [&end](std::string_view text) {
    std::memcpy(end, text.data(), text.size());
    end += text.size();
  };
  append(kResponseHead);
  append({accept_of(key).data(), kAcceptBytes});
  if (!subprotocol.empty()) {
    append(kSubprotocolName);
    append(subprotocol);
  }
  if (!extensions.empty()) {
    append(kExtensionsName);
    append(extensions);
  }
  append(kHeadEnd);
  return static_cast<std::size_t>(end - out);
}

std::string make_key(std::span<const std::byte, 16> random) {
  std::array<char, kKeyBytes + 1> key;
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(key.data()),
                  reinterpret_cast<const unsigned char*>(random.data()),
                  static_cast<int>(random.size()));
  return {key.data(), kKeyBytes};
}

std::string handshake_request(std::string_view host, std::string_view target, std::string_view key,
                              std::span<const HttpHeader> headers) {
  CHECK(is_visible(host) && is_visible(target) && target.front() == '/' && is_key(key));
  std::string out;
  out.reserve(160 + host.size() + target.size());
  out.append("GET ").append(target).append(" HTTP/1.1\r\nHost: ").append(host);
  out.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ").append(key);
  out.append("\r\nSec-WebSocket-Version: ").append(kVersion);
  for (const auto& [name, value] : headers) {
    CHECK(is_token(name) && is_field_value(value));
    out.append("\r\n").append(name).append(": ").append(value);
  }
  return out.append("\r\n\r\n");
}

std::string_view wrong_with_acceptance(const HttpResponse& response, std::string_view key) {
  const auto upgrade = response.header("Upgrade");
  if (!upgrade || !lists_token(*upgrade, "websocket")) return "101 without Upgrade: websocket";
  const auto connection = response.header("Connection");
  if (!connection || !lists_token(*connection, "upgrade")) return "101 without Connection: Upgrade";
  const auto accept = response.header("Sec-WebSocket-Accept");
  if (!accept || !is_accept_of(*accept, key)) return "wrong Sec-WebSocket-Accept";
  return {};
}

bool is_accept_of(std::string_view accept, std::string_view key) {
  return accept == std::string_view(accept_of(key).data(), kAcceptBytes);
}

}  // namespace holdfast::protocol
