#include "protocol/tls_certificate.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <string_view>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }

// RFC 5280 4.2.1.6. Nothing for the kinds that no server here has a use for.
std::string name_text(const GENERAL_NAME* name) {
  int kind = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &kind));
  const char* word = kind == GEN_DNS     ? "DNS"
                     : kind == GEN_URI   ? "URI"
                     : kind == GEN_EMAIL ? "email"
                                         : nullptr;
  if (word == nullptr) return {};
  const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                              static_cast<std::size_t>(ASN1_STRING_length(value)));
  // A name with a zero in it is read as two different ones.
  if (text.find('\0') != std::string_view::npos) return {};
  return fmt::format("{}:{}", word, text);
}

}  // namespace

std::string subject_text(const x509_st* certificate) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  CHECK(bio != nullptr);
  // Letters of all languages as they are (UTF-8); control characters and what RFC 2253 wants
  // escaped, escaped.
  constexpr unsigned long kFlags =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, kFlags);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

ClientCertificate describe_certificate(const x509_st* certificate) {
  ClientCertificate facts;
  facts.subject = subject_text(certificate);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  CHECK(X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1);
  for (unsigned int i = 0; i < size; ++i) facts.fingerprint += fmt::format("{:02x}", digest[i]);
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      free_names);
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    std::string text = name_text(sk_GENERAL_NAME_value(names.get(), i));
    if (!text.empty()) facts.names.push_back(std::move(text));
  }
  return facts;
}

}  // namespace holdfast::protocol
