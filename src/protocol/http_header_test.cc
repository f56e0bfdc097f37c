#include "protocol/http_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

std::vector<std::string> tokens_of(std::string_view list) {
  std::vector<std::string> tokens;
  for (std::string_view token : Tokens(list)) tokens.emplace_back(token);
  return tokens;
}

using List = std::vector<std::string>;

TEST(Tokens, AreTheElementsOfAListWithoutSpaceOrEmptyOnes) {
  EXPECT_EQ(tokens_of("keep-alive, Upgrade"), (List{"keep-alive", "Upgrade"}));
  EXPECT_EQ(tokens_of(" a\t,,b , \t,c"), (List{"a", "b", "c"}));
  EXPECT_EQ(tokens_of("a,"), (List{"a"}));
  EXPECT_EQ(tokens_of(""), List{});
  EXPECT_EQ(tokens_of(" , ,"), List{});
}

TEST(Tokens, AreFoundWholeAndWithoutRegardToCase) {
  EXPECT_TRUE(lists_token("keep-alive, UPGRADE", "upgrade"));
  EXPECT_FALSE(lists_token("upgraded, no-upgrade", "upgrade"));
  EXPECT_FALSE(lists_token("", "upgrade"));
}

TEST(HttpHeader, NamesDifferOnlyInLetters) {
  EXPECT_TRUE(equals_ignoring_case("Sec-WebSocket-Key", "sec-websocket-KEY"));
  EXPECT_FALSE(equals_ignoring_case("a-b", "a\rb")) << "'-' and CR are 32 apart, like letters";
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
}

}  // namespace
}  // namespace holdfast::protocol
