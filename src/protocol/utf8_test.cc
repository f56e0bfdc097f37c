#include "protocol/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "holdfast/utf8.h"

namespace holdfast::protocol {
namespace {

// RFC 3629 3, written down once more, as plainly as can be: the code points of a text, or how many
// bytes of it are a prefix of valid UTF-8 before the first that is not.
struct Reference {
  bool prefix = true;  // may still become valid
  bool whole = true;   // is valid as it stands
};
Reference judge(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const int size = lead < 0x80       ? 1
                     : lead >> 5 == 6  ? 2
                     : lead >> 4 == 14 ? 3
                     : lead >> 3 == 30 ? 4
                                       : 0;
    if (size == 0) return {false, false};
    // Every completion is tried that matters: the lowest and the highest.
    unsigned low = size == 1 ? lead : lead & (0x7F >> size);
    unsigned high = low;
    bool open = false;
    for (int i = 1; i < size; ++i) {
      if (at + i >= text.size()) {
        open = true;
        low = low << 6;
        high = high << 6 | 0x3F;
        continue;
      }
      const auto byte = static_cast<unsigned char>(text[at + i]);
      if (byte >> 6 != 2) return {false, false};
      low = low << 6 | (byte & 0x3F);
      high = high << 6 | (byte & 0x3F);
    }
    const unsigned least = size == 1 ? 0 : size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    const bool all_too_small = high < least;
    const bool all_too_large = low > 0x10FFFF;
    const bool all_surrogates = low >= 0xD800 && high <= 0xDFFF;
    if (all_too_small || all_too_large || all_surrogates) return {false, false};
    if (open) return {true, false};
    at += static_cast<std::size_t>(size);
  }
  return {};
}

void expect_every_split_agrees(std::string_view text) {
  const Reference expected = judge(text);
  EXPECT_EQ(is_valid_utf8(as_bytes(text)), expected.whole);
  for (std::size_t split = 0; split <= text.size(); ++split) {
    Utf8Checker checker;
    ASSERT_EQ(checker.feed(as_bytes(text.substr(0, split))), judge(text.substr(0, split)).prefix)
        << testing::PrintToString(text) << " up to " << split;
    ASSERT_EQ(checker.feed(as_bytes(text.substr(split))), expected.prefix)
        << testing::PrintToString(text) << " split at " << split;
    ASSERT_EQ(checker.complete(), expected.whole) << testing::PrintToString(text);
  }
  Utf8Checker checker;
  for (std::size_t at = 0; at < text.size(); ++at) {
    ASSERT_EQ(checker.feed(as_bytes(text.substr(at, 1))), judge(text.substr(0, at + 1)).prefix)
        << testing::PrintToString(text) << " at byte " << at;
  }
  ASSERT_EQ(checker.complete(), expected.whole);
}

TEST(Utf8, AgreesWithTheRfcOnEveryFirstTwoBytesAtEverySplit) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (std::string_view rest : {"", "\x80", "\xBF", "\x80\x80", "\xBF\xBF", "a"}) {
        std::string text{static_cast<char>(first), static_cast<char>(second)};
        expect_every_split_agrees(text.append(rest));
      }
    }
  }
}

TEST(Utf8, AgreesAroundEveryBorderOfALongRun) {
  // Long enough for the vectorised check, with the interesting bytes at its end, start and middle.
  const std::string filler(150, 'x');
  for (std::string_view text :
       {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\xA0\x80", "\xC0\xAF",
        "\xF4\x90\x80\x80", "\xE0\x9F\xBF", "\x80", "\xFF", "\xF0\x9F\x98"}) {
    expect_every_split_agrees(filler + std::string(text));
    expect_every_split_agrees(std::string(text) + filler);
    expect_every_split_agrees(filler + std::string(text) + filler);
  }
}

TEST(Utf8, FailsAtTheByteThatNothingCanMend) {
  Utf8Checker checker;
  EXPECT_TRUE(checker.feed(as_bytes("\xF4")));
  EXPECT_FALSE(checker.feed(as_bytes("\x90"))) << "F4 90 is above U+10FFFF whatever comes next";
}

TEST(Utf8, OnceFailedStaysSoUntilItIsReset) {
  Utf8Checker checker;
  EXPECT_FALSE(checker.feed(as_bytes("\xFF")));
  EXPECT_FALSE(checker.feed(as_bytes("innocent")));
  EXPECT_FALSE(checker.complete());
  checker.reset();
  EXPECT_TRUE(checker.feed(as_bytes("innocent")));
  EXPECT_TRUE(checker.complete());
}

TEST(Utf8, IsToldToHandlersToo) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("Grüße, 世界 🌍"));
  EXPECT_TRUE(is_utf8(as_bytes("Grüße")));
  EXPECT_FALSE(is_utf8("\xFF\xFE"));
  EXPECT_FALSE(is_utf8(as_bytes("half a \xC3")));
}

TEST(Utf8, OfNothingIsComplete) {
  Utf8Checker checker;
  EXPECT_TRUE(checker.feed({}));
  EXPECT_TRUE(checker.complete());
}

}  // namespace
}  // namespace holdfast::protocol
