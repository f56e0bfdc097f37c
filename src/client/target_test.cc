#include "client/target.h"

#include <gtest/gtest.h>

namespace holdfast::client {
namespace {

std::string refusal(std::string_view url) {
  const auto target = Target::parse(url);
  return target ? "" : target.error().message;
}

TEST(Target, IsTakenFromAUrl) {
  const auto target = Target::parse("ws://127.0.0.7:8080/topics/x?since=4");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->address.to_string(), "127.0.0.7:8080");
  EXPECT_EQ(target->authority, "127.0.0.7:8080");
  EXPECT_EQ(target->path, "/topics/x?since=4");
}

TEST(Target, HasTheRootAndPort80WhereNothingIsSaid) {
  const auto target = Target::parse("ws://127.0.0.7");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->address.to_string(), "127.0.0.7:80");
  EXPECT_EQ(target->authority, "127.0.0.7");
  EXPECT_EQ(target->path, "/");
}

TEST(Target, AQueryWithoutAPathBelongsToTheRoot) {
  EXPECT_EQ(Target::parse("ws://127.0.0.7?a=b")->path, "/?a=b");
}

TEST(Target, MayBeAnIPv6Address) {
  const auto with_port = Target::parse("ws://[::1]:8080/");
  ASSERT_TRUE(with_port) << with_port.error().message;
  EXPECT_EQ(with_port->address.to_string(), "[::1]:8080");
  EXPECT_EQ(Target::parse("ws://[::1]/")->address.to_string(), "[::1]:80");
}

TEST(Target, IsSecureAtPort443AndKnowsWhomACertificateMustName) {
  const auto target = Target::parse("wss://127.0.0.7/x");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_TRUE(target->is_secure);
  EXPECT_EQ(target->address.to_string(), "127.0.0.7:443");
  EXPECT_EQ(target->host, "127.0.0.7");
  EXPECT_EQ(Target::parse("wss://[::1]:8443/")->host, "::1");
  EXPECT_EQ(Target::parse("wss://localhost:8443/")->host, "localhost");
  EXPECT_FALSE(Target::parse("ws://127.0.0.7")->is_secure);
}

TEST(Target, SaysWhatIsWrongWithAUrl) {
  EXPECT_NE(refusal("https://127.0.0.1/").find("ws://127.0.0.1:8080"), std::string::npos);
  EXPECT_NE(refusal("http://127.0.0.1/").find("ws://127.0.0.1:8080"), std::string::npos);
  EXPECT_NE(refusal("127.0.0.1:8080").find("ws://"), std::string::npos);
  EXPECT_NE(refusal("ws://").find("names no host"), std::string::npos);
  EXPECT_NE(refusal("ws://:80/").find("names no host"), std::string::npos);
  EXPECT_NE(refusal("ws://127.0.0.1:99999/").find("65535"), std::string::npos);
  EXPECT_NE(refusal("ws://127.0.0.1:0/").find("port 0"), std::string::npos);
  EXPECT_NE(refusal("ws://me@127.0.0.1:80/").find("user information"), std::string::npos);
  EXPECT_NE(refusal("ws://127.0.0.1:80/#top").find("fragment"), std::string::npos);
  EXPECT_NE(refusal("ws://127.0.0.1:80/a\r\nX: y").find("percent-encode"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::client
