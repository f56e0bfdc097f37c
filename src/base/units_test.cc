#include "base/units.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::milliseconds;

TEST(Units, DurationsNeedTheirUnit) {
  EXPECT_EQ(parse_duration("250ms").value(), milliseconds(250));
  EXPECT_EQ(parse_duration("25s").value(), milliseconds(25'000));
  EXPECT_EQ(parse_duration("1.5m").value(), milliseconds(90'000));
  EXPECT_EQ(parse_duration("1h").value(), milliseconds(3'600'000));
  EXPECT_EQ(parse_duration("0").value(), milliseconds(0));
  for (const char* wrong : {"25", "s", "", "-1s", "25 parsecs", "1e3s", "0.2ms"}) {
    ASSERT_FALSE(parse_duration(wrong)) << wrong;
    EXPECT_NE(parse_duration(wrong).error().message.find("25s"), std::string::npos);
  }
}

TEST(Units, SizesAreBinaryOrDecimalAsWritten) {
  EXPECT_EQ(parse_bytes("512").value(), 512u);
  EXPECT_EQ(parse_bytes("64KiB").value(), 65536u);
  EXPECT_EQ(parse_bytes("1MiB").value(), 1048576u);
  EXPECT_EQ(parse_bytes("64kB").value(), 64000u);
  for (const char* wrong : {"", "x", "-1", "1.5", "64K"}) EXPECT_FALSE(parse_bytes(wrong)) << wrong;
}

TEST(Units, CountsTakeTheirUsualForms) {
  for (const char* right : {"600000", "600_000", "600,000", "600k"}) {
    EXPECT_EQ(parse_count(right).value(), 600000u) << right;
  }
  for (const char* wrong : {"", "many", "-5", "1.5", "6e5"})
    EXPECT_FALSE(parse_count(wrong)) << wrong;
}

TEST(Units, FormatsReadLikeText) {
  EXPECT_EQ(format_count(600000), "600,000");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_bytes(48), "48 B");
  EXPECT_EQ(format_bytes(3.8 * 1024), "3.8 KiB");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(250)), "250 ms");
  EXPECT_EQ(format_duration(std::chrono::seconds(200)), "3 min 20 s");
}

TEST(Units, ADurationThatRoundsUpTakesTheNextUnit) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(format_duration(nanoseconds(999)), "999 ns");
  EXPECT_EQ(format_duration(nanoseconds(999'499)), "999 µs");
  EXPECT_EQ(format_duration(nanoseconds(999'600)), "1 ms");
  EXPECT_EQ(format_duration(nanoseconds(999'400'000)), "999 ms");
  EXPECT_EQ(format_duration(nanoseconds(999'600'000)), "1 s");
  EXPECT_EQ(format_duration(nanoseconds(59'990'000'000)), "60 s");
}

}  // namespace
}  // namespace holdfast
