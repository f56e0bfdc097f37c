#include "protocol/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::protocol {
namespace {

OriginPattern pattern(std::string_view text) {
  auto parsed = OriginPattern::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return *parsed;
}

TEST(Origin, IsComparedByItsSchemeHostAndPort) {
  const OriginPattern one = pattern("https://example.com");
  EXPECT_TRUE(one.fits("https://example.com"));
  EXPECT_TRUE(one.fits("HTTPS://Example.COM"));
  EXPECT_TRUE(one.fits("https://example.com:443")) << "the scheme's own port";
  EXPECT_FALSE(one.fits("http://example.com"));
  EXPECT_FALSE(one.fits("https://example.com:8443"));
  EXPECT_FALSE(one.fits("https://example.com.evil.test"));
  EXPECT_FALSE(one.fits("https://a.example.com"));
  EXPECT_FALSE(one.fits("https://example.com/"));
  EXPECT_FALSE(one.fits("example.com"));
  EXPECT_FALSE(one.fits("null"));
  EXPECT_FALSE(one.fits(""));
}

TEST(Origin, WildcardMeansEverySubDomainButNotTheDomainItself) {
  const OriginPattern any = pattern("https://*.example.com");
  EXPECT_TRUE(any.fits("https://a.example.com"));
  EXPECT_TRUE(any.fits("https://b.a.example.com"));
  EXPECT_FALSE(any.fits("https://example.com"));
  EXPECT_FALSE(any.fits("https://.example.com"));
  EXPECT_FALSE(any.fits("https://evilexample.com"));
  EXPECT_FALSE(any.fits("http://a.example.com"));
}

TEST(Origin, MayHaveAPortOrBeAnAddress) {
  EXPECT_TRUE(pattern("http://localhost:3000").fits("http://localhost:3000"));
  EXPECT_FALSE(pattern("http://localhost:3000").fits("http://localhost"));
  EXPECT_TRUE(pattern("http://[::1]:3000").fits("http://[::1]:3000"));
  EXPECT_TRUE(pattern("null").fits("null"));
  EXPECT_FALSE(pattern("null").fits("https://null"));
}

TEST(Origin, RefusesWhatIsNoneAndSaysWhatWouldBeRight) {
  for (const char* text : {"", "example.com", "https://", "https://example.com/", "https://a b",
                           "https://x:", "://x"}) {
    const auto parsed = OriginPattern::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr("https://example.com"));
  }
  for (const char* text : {"https://*", "https://a.*.com", "https://*.", "https://**.a.com"}) {
    const auto parsed = OriginPattern::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr("*."));
  }
}

}  // namespace
}  // namespace holdfast::protocol
