#include "commands/nearest_name.h"

#include <gtest/gtest.h>

#include <array>

namespace holdfast::commands {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"listen", "ping-interval", "pong-timeout", "io",
                                                    "serve"};

TEST(NearestName, ForgivesASlipOfTheKeyboard) {
  EXPECT_EQ(nearest_name("ping-intervall", kNames), "ping-interval");
  EXPECT_EQ(nearest_name("pign-interval", kNames), "ping-interval");
  EXPECT_EQ(nearest_name("lisen", kNames), "listen");
  EXPECT_EQ(nearest_name("sevre", kNames), "serve");  // one swap, not two replacements
  EXPECT_EQ(nearest_name("oi", kNames), "");
}

TEST(NearestName, TakesUnderscoresForDashes) {
  EXPECT_EQ(nearest_name("ping_intervl", kNames), "ping-interval");
}

TEST(NearestName, SuggestsNothingForAStranger) {
  EXPECT_EQ(nearest_name("certificate", kNames), "");
  EXPECT_EQ(nearest_name("x", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(nearest_name("listen", {}), "");
}

}  // namespace
}  // namespace holdfast::commands
