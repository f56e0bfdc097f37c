// What files of certificates and keys may hold.

#include "protocol/tls_context.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/tls_peer.h"

namespace holdfast::protocol {
namespace {

TlsIdentity identity_of(const Identity& one, std::string name) {
  return {one.certificate_pem(), one.key_pem(), std::move(name)};
}

// What is said of it; empty: it is taken.
std::string error_of(const TlsIdentity& identity) {
  const auto context = TlsContext::make({.identities = {identity}});
  return context ? "" : context.error().message;
}

TEST(TlsContext, SaysWhichFileIsWrong) {
  const Identity one("localhost"), other("other.example");
  auto mixed = identity_of(one, "a.pem");
  mixed.key_pem = other.key_pem();
  EXPECT_NE(error_of(mixed).find("a.pem"), std::string::npos);
  EXPECT_NE(error_of(TlsIdentity("", "", "b.pem")).find("b.pem"), std::string::npos);
  Identity endless("localhost");
  X509* x509 = endless.certificate.get();
  ASN1_STRING_set(X509_getm_notAfter(x509), "269911000000Z", -1);
  CHECK(X509_sign(x509, endless.key.get(), EVP_sha256()) > 0);
  EXPECT_EQ(error_of(identity_of(endless, "c.pem")),
            "c.pem: the end of its validity cannot be read");
}

TEST(TlsContext, TakesNoHalfOfAChain) {
  const Identity authority("authority"), one("localhost", false, &authority);
  const auto chain_of = [&](const std::string& rest) {
    return TlsIdentity(one.certificate_pem() + rest, one.key_pem(), "chain.pem");
  };
  const std::string whole = authority.certificate_pem();
  EXPECT_EQ(error_of(chain_of(whole)), "");
  EXPECT_EQ(error_of(chain_of("")), "");
  EXPECT_EQ(error_of(chain_of("\n# a word to whoever reads this\n")), "");
  const std::size_t begin = whole.find('\n'), end = whole.rfind('-');
  for (std::size_t size = begin; size < end; ++size) {
    ASSERT_EQ(error_of(chain_of(whole.substr(0, size))).find("chain.pem: certificate 2 of the"), 0u)
        << size;
  }
  std::string corrupt = whole;
  corrupt[begin + 100] = corrupt[begin + 100] == 'A' ? 'B' : '!';
  EXPECT_NE(error_of(chain_of(corrupt)), "");
}

}  // namespace
}  // namespace holdfast::protocol
