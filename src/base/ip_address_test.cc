#include "base/ip_address.h"

#include <gtest/gtest.h>

#include <set>

namespace holdfast {
namespace {

TEST(IpAddress, IsReadAndWrittenTheSame) {
  for (const char* text :
       {"0.0.0.0", "127.0.0.1", "203.0.113.7", "255.255.255.255", "::", "::1", "2001:db8::17"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(IpAddress, OfAClientIsOneWhetherMappedOrNot) {
  EXPECT_EQ(IpAddress::parse("::ffff:203.0.113.7"), IpAddress::parse("203.0.113.7"));
  EXPECT_NE(IpAddress::parse("::203.0.113.7"), IpAddress::parse("203.0.113.7"));
  EXPECT_TRUE(IpAddress::parse("::ffff:127.0.0.9")->is_loopback());
}

TEST(IpAddress, IsLoopbackInBothFamilies) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  for (const char* text : {"128.0.0.1", "126.0.0.1", "::", "::2", "1::1"})
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
}

TEST(IpAddress, WithAnythingAroundItIsNone) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "1"sv, "1.2.3"sv, "1.2.3.4 "sv, " 1.2.3.4"sv, "1.2.3.4:80"sv, "[::1]"sv, "::1%lo"sv,
        "1.2.3.256"sv, "01.2.3.4"sv, "1.2.3.4\0"sv, "unknown"sv, ":::"sv,
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, OfNeighboursHashesFarApart) {
  std::set<std::size_t> buckets;
  for (int i = 0; i < 256; ++i)
    buckets.insert(IpAddress::parse("10.0.0." + std::to_string(i))->hash() % 4096);
  EXPECT_GT(buckets.size(), 240u);
}

TEST(IpNetwork, ContainsWhatSharesItsPrefix) {
  const auto contains = [](const char* network, const char* address) {
    return IpNetwork::parse(network)->contains(*IpAddress::parse(address));
  };
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("10.0.0.64/26", "10.0.0.127"));
  EXPECT_FALSE(contains("10.0.0.64/26", "10.0.0.128"));
  EXPECT_TRUE(contains("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(contains("127.0.0.1", "127.0.0.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1")) << "all of IPv4 is not all";
  EXPECT_TRUE(contains("::/0", "1.2.3.4"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
}

TEST(IpNetwork, WithASlipIsNone) {
  for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.1/8",
                           "10.0.0.0/8 ", "10.0.0.0/-1", "10.0.0/24", "all"}) {
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
  }
}

}  // namespace
}  // namespace holdfast
