#include "protocol/forwarded.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

// 10.0.0.0/8 and fd00::/8 are trusted, 10.0.0.1 is the peer.
std::string client(ForwardedField field, std::vector<HttpHeader> headers) {
  const std::vector<IpNetwork> trusted = {*IpNetwork::parse("10.0.0.0/8"),
                                          *IpNetwork::parse("fd00::/8")};
  const auto found = forwarded_client(headers, field, trusted, IpAddress::parse("10.0.0.1"));
  return found ? found->to_string() : "nobody";
}
std::string by_custom(std::string_view value) {
  return client(ForwardedField::kXForwardedFor, {{"X-Forwarded-For", value}});
}
std::string by_standard(std::string_view value) {
  return client(ForwardedField::kForwarded, {{"Forwarded", value}});
}

TEST(Forwarded, TheClientIsTheRightmostHopThatIsNotTrusted) {
  EXPECT_EQ(by_custom("203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(by_custom("203.0.113.7, 10.0.0.2, 10.0.0.3"), "203.0.113.7");
  EXPECT_EQ(by_custom("2001:db8::17, fd00::2"), "2001:db8::17");
  EXPECT_EQ(by_standard("for=203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(by_standard("for=203.0.113.7;proto=https;by=10.0.0.2, For=\"[fd00::2]:4711\""),
            "203.0.113.7");
}

TEST(Forwarded, WhatAStrangerClaimedIsWorthNothing) {
  EXPECT_EQ(by_custom("127.0.0.1, 203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(by_custom("10.0.0.9, 203.0.113.7, 10.0.0.2"), "203.0.113.7");
  EXPECT_EQ(by_standard("for=127.0.0.1, for=203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(by_standard("for=\"127.0.0.1, for=203.0.113.7"), "10.0.0.1")
      << "an open quote hides what is behind it";
}

TEST(Forwarded, TheFieldThatTheProxiesDoNotWriteIsNotLookedAt) {
  const std::vector<HttpHeader> both = {{"Forwarded", "for=127.0.0.1"},
                                        {"X-Forwarded-For", "203.0.113.7"}};
  EXPECT_EQ(client(ForwardedField::kXForwardedFor, both), "203.0.113.7");
  EXPECT_EQ(client(ForwardedField::kForwarded, both), "127.0.0.1");
  EXPECT_EQ(client(ForwardedField::kForwarded, {{"X-Forwarded-For", "127.0.0.1"}}), "10.0.0.1");
}

TEST(Forwarded, SeveralFieldsAreOneList) {
  EXPECT_EQ(client(ForwardedField::kXForwardedFor, {{"x-forwarded-for", "127.0.0.1, 203.0.113.7"},
                                                    {"Host", "x"},
                                                    {"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}),
            "203.0.113.7");
}

TEST(Forwarded, WithTrustedHopsAloneTheFarthestIsTheClient) {
  EXPECT_EQ(by_custom("10.0.0.3, 10.0.0.2"), "10.0.0.3");
}

TEST(Forwarded, WithoutAWordThePeerIsTheClient) {
  EXPECT_EQ(by_custom(""), "10.0.0.1");
  EXPECT_EQ(by_custom(" , ,"), "10.0.0.1");
  EXPECT_EQ(client(ForwardedField::kForwarded, {}), "10.0.0.1");
  EXPECT_FALSE(forwarded_client({}, ForwardedField::kXForwardedFor, {}, std::nullopt));
}

TEST(Forwarded, BehindAHopThatCannotBeReadNobodyIsKnown) {
  EXPECT_EQ(by_custom("203.0.113.7, unknown, 10.0.0.2"), "10.0.0.2");
  EXPECT_EQ(by_custom("203.0.113.7, "), "203.0.113.7");
  EXPECT_EQ(by_custom("nonsense"), "10.0.0.1");
  EXPECT_EQ(by_standard("for=203.0.113.7, for=_hidden"), "10.0.0.1");
  EXPECT_EQ(by_standard("for=203.0.113.7, proto=https"), "10.0.0.1");
  EXPECT_EQ(by_standard("203.0.113.7"), "10.0.0.1");
}

TEST(Forwarded, PortsQuotesAndBracketsAreTakenOff) {
  EXPECT_EQ(by_custom("203.0.113.7:50000"), "203.0.113.7");
  EXPECT_EQ(by_custom("[2001:db8::17]:50000"), "2001:db8::17");
  EXPECT_EQ(by_custom("[2001:db8::17]"), "2001:db8::17");
  EXPECT_EQ(by_standard("for=\"203.0.113.7:50000\""), "203.0.113.7");
  EXPECT_EQ(by_standard("FOR=\"[2001:db8::17]\""), "2001:db8::17");
  EXPECT_EQ(by_standard("for=\"\\203.0.113.7\""), "203.0.113.7");
  EXPECT_EQ(by_custom("[2001:db8::17"), "10.0.0.1");
  EXPECT_EQ(by_custom("[2001:db8::17]x"), "10.0.0.1");
}

}  // namespace
}  // namespace holdfast::protocol
