#include "server/listener_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::server {
namespace {

using protocol::ProxyVersions;
using testing::AllOf;
using testing::HasSubstr;

std::string error(std::string_view text) {
  const auto listeners = parse_listeners(text);
  return listeners ? "" : listeners.error().message;
}

TEST(ListenerSpec, IsAnAddressAndWhatIsSpecialThere) {
  const auto listeners = parse_listeners(
      "127.0.0.1:8080,[::1]:0,proxy,ipv6-only,unix:/run/"
      "a.sock,mode=0600,proxy=v2,10.0.0.5:1,proxy=off");
  ASSERT_TRUE(listeners) << listeners.error().message;
  ASSERT_EQ(listeners->size(), 4u);
  EXPECT_EQ(listeners->at(0), (ListenerSpec{.address = "127.0.0.1:8080"}));
  EXPECT_EQ(listeners->at(1),
            (ListenerSpec{.address = "[::1]:0", .proxy = ProxyVersions::kBoth, .ipv6_only = true}));
  EXPECT_EQ(
      listeners->at(2),
      (ListenerSpec{.address = "unix:/run/a.sock", .proxy = ProxyVersions::kTwo, .mode = 0600}));
  EXPECT_EQ(listeners->at(2).path(), "/run/a.sock");
  EXPECT_EQ(listeners->at(3), (ListenerSpec{.address = "10.0.0.5:1"}));
}

TEST(ListenerSpec, ChoosesCompressionForItselfOrLeavesItToTheOption) {
  const auto listeners = parse_listeners("10.0.0.5:1,deflate,10.0.0.5:2,deflate=off,10.0.0.5:3");
  ASSERT_TRUE(listeners) << listeners.error().message;
  EXPECT_EQ(listeners->at(0).deflate, DeflateChoice::kOn);
  EXPECT_EQ(listeners->at(1).deflate, DeflateChoice::kOff);
  EXPECT_EQ(listeners->at(2).deflate, std::nullopt);
}

TEST(ListenerSpec, MayHaveTlsOfItsOwn) {
  const auto listeners = parse_listeners(
      "10.0.0.5:1,tls-cert=a,tls-key=ka,tls-cert=b,tls-key=kb,tls12,tls-suites=X:Y,tls-groups=P-"
      "256,"
      "tls12-suites=Z,tls-client-cert,tls-client-ca=c,tls-client-ca=d,10.0.0.5:2,tls12=off");
  ASSERT_TRUE(listeners) << listeners.error().message;
  EXPECT_EQ(listeners->at(0), (ListenerSpec{.address = "10.0.0.5:1",
                                            .tls_cert = {"a", "b"},
                                            .tls_key = {"ka", "kb"},
                                            .tls_client_ca = {"c", "d"},
                                            .tls_client_cert = ClientCertificates::kRequired,
                                            .tls12 = true,
                                            .tls_suites = "X:Y",
                                            .tls12_suites = "Z",
                                            .tls_groups = "P-256"}));
  EXPECT_EQ(ListenerSpec::parse(listeners->at(0).to_string()).value(), listeners->at(0));
  EXPECT_EQ(listeners->at(1).tls12, false);
}

TEST(ListenerSpec, IsWrittenAsItIsRead) {
  for (const char* text :
       {"127.0.0.1:8080", "[::]:8080,ipv6-only=on", "unix:/run/a.sock,proxy=v1,mode=0600",
        "10.0.0.5:1,proxy=on", "10.0.0.5:1,deflate=off", "10.0.0.5:1,deflate=takeover"}) {
    const auto spec = ListenerSpec::parse(text);
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(ListenerSpec::parse(spec->to_string()).value(), *spec) << text;
    EXPECT_EQ(spec->to_string().size(), std::string_view(text).size()) << spec->to_string();
  }
}

TEST(ListenerSpec, EverySettingReadsItsOwnFallback) {
  for (const ListenerSetting& setting : listener_settings()) {
    ListenerSpec spec;
    EXPECT_EQ(setting.text(spec), setting.fallback) << setting.name;
    EXPECT_TRUE(setting.fallback.empty() || setting.read(setting.fallback, spec)) << setting.name;
    const bool takes_any =
        setting.values == "FILE" || setting.values.find(':') != setting.values.npos;
    EXPECT_EQ(setting.read("nonsense", spec), takes_any) << setting.name;
    EXPECT_EQ(setting.bare.empty() || setting.read(setting.bare, spec), true) << setting.name;
  }
}

TEST(ListenerSpec, ASlipIsShownWithWhatWouldBeRight) {
  EXPECT_THAT(error("proxy"), AllOf(HasSubstr("'proxy' has no port"), HasSubstr("unix:/path")));
  EXPECT_THAT(error("127.0.0.1:8080,prxy"), HasSubstr("'prxy' has no port"));
  EXPECT_THAT(error("127.0.0.1:8080,prxy"), HasSubstr("proxy, ipv6-only, mode, deflate"));
  EXPECT_THAT(error("127.0.0.1:8080,proxy=v3"),
              AllOf(HasSubstr("'proxy=v3' of 127.0.0.1:8080"), HasSubstr("on|v1|v2|off")));
  EXPECT_THAT(error("unix:/a,mode"), HasSubstr("mode=0600..0777"));
  EXPECT_THAT(error("unix:/a,mode=0999"), HasSubstr("mode=0600..0777"));
  EXPECT_THAT(error("10.0.0.5:1,deflate=best"),
              AllOf(HasSubstr("'deflate=best' of 10.0.0.5:1"), HasSubstr("off|on|takeover")));
  EXPECT_THAT(error("unix:"), HasSubstr("has no path"));
  EXPECT_THAT(error("127.0.0.1:99999"), HasSubstr("127.0.0.1:99999"));
  EXPECT_THAT(error(""), HasSubstr("has no port"));
}

}  // namespace
}  // namespace holdfast::server
