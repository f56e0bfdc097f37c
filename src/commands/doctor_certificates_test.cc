#include "commands/doctor_certificates.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "net/clock.h"
#include "protocol/tls_peer.h"

namespace holdfast::commands {
namespace {

using doctor::Check;
using doctor::Verdict;
using testing::HasSubstr;

constexpr long kDay = 24 * 60 * 60;

class DoctorCertificates : public testing::Test {
 protected:
  static std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path =
        testing::TempDir() + fmt::format("holdfast_doctor_{}_{}", ::getpid(), name);
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  static Check check(const std::string& cert, const std::string& key) {
    const auto checks = check_certificates({cert}, {key}, net::unix_seconds_now());
    EXPECT_EQ(checks.size(), 1u);
    return checks.front();
  }
  static Check check(const protocol::Identity& identity, mode_t mode = 0600) {
    return check(write("cert", identity.certificate_pem()), write("key", identity.key_pem(), mode));
  }
};

TEST_F(DoctorCertificates, IsContentWithOneThatLasts) {
  const Check good = check(protocol::Identity("good", false, nullptr, 60 * kDay));
  EXPECT_EQ(good.verdict, Verdict::kOk) << good.why;
  EXPECT_THAT(good.value, HasSubstr("until 20"));
  EXPECT_THAT(good.why, HasSubstr("CN=good"));
}

TEST_F(DoctorCertificates, AdvisesToRenewWithinAMonth) {
  EXPECT_EQ(check(protocol::Identity("a", false, nullptr, 31 * kDay)).verdict, Verdict::kOk);
  const Check late = check(protocol::Identity("a", false, nullptr, 29 * kDay + 60));
  EXPECT_EQ(late.verdict, Verdict::kAdvice);
  EXPECT_THAT(late.why, HasSubstr("ends in 29 days"));
}

TEST_F(DoctorCertificates, RefusesOneThatHasEnded) {
  const Check ended = check(protocol::Identity("a", false, nullptr, -60));
  EXPECT_EQ(ended.verdict, Verdict::kWrong);
  EXPECT_THAT(ended.why, HasSubstr("has ended"));
}

TEST_F(DoctorCertificates, SeesAKeyOfAnother) {
  const protocol::Identity one("one", false, nullptr, 60 * kDay), other("other");
  const Check wrong = check(write("cert", one.certificate_pem()), write("key", other.key_pem()));
  EXPECT_EQ(wrong.verdict, Verdict::kWrong);
  EXPECT_THAT(wrong.why, HasSubstr("key"));
}

TEST_F(DoctorCertificates, NamesTheFileThatCannotBeRead) {
  const protocol::Identity one("one");
  const Check no_key = check(write("cert", one.certificate_pem()), "/nowhere/key");
  EXPECT_EQ(no_key.verdict, Verdict::kWrong);
  EXPECT_THAT(no_key.why, HasSubstr("'/nowhere/key' cannot be read"));
  EXPECT_EQ(check(testing::TempDir(), write("key", one.key_pem())).verdict, Verdict::kWrong);
  EXPECT_EQ(check(write("cert", "not PEM"), write("key", one.key_pem())).verdict, Verdict::kWrong);
}

TEST_F(DoctorCertificates, SeesAnEndThatIsNoTime) {
  const protocol::Identity one("localhost");
  X509* x509 = one.certificate.get();
  ASN1_STRING_set(X509_getm_notAfter(x509), "269911000000Z", -1);
  CHECK(X509_sign(x509, one.key.get(), EVP_sha256()) > 0);
  const Check wrong = check(one);
  EXPECT_EQ(wrong.verdict, Verdict::kWrong);
  EXPECT_THAT(wrong.why, HasSubstr("the end of its validity cannot be read"));
}

TEST_F(DoctorCertificates, MindsAKeyThatEverybodyMayRead) {
  const Check open = check(protocol::Identity("a", false, nullptr, 60 * kDay), 0644);
  EXPECT_EQ(open.verdict, Verdict::kAdvice);
  EXPECT_THAT(open.mend, HasSubstr("chmod o-r"));
}

}  // namespace
}  // namespace holdfast::commands
