#include "load/histogram.h"

#include <gtest/gtest.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace holdfast::load {
namespace {

// HdrHistogram_c forgets to free the counts of a histogram that it gave up half way. Only a broken
// report shows it, and the program ends right after; the leak checker need not hear of it.
#if defined(__SANITIZE_ADDRESS__)
using LeaksOfTheLibrary = __lsan::ScopedDisabler;
#else
struct LeaksOfTheLibrary {
  LeaksOfTheLibrary() {}
};
#endif

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;

Histogram of(std::initializer_list<int> values_us) {
  Histogram histogram;
  for (const int value : values_us) histogram.record(microseconds(value));
  return histogram;
}

void expect_same(const Histogram& a, const Histogram& b) {
  EXPECT_EQ(a.count(), b.count());
  for (const double percent : {1.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 100.0}) {
    EXPECT_EQ(a.percentile(percent), b.percentile(percent)) << percent;
  }
  EXPECT_EQ(a.least(), b.least());
  EXPECT_EQ(a.mean(), b.mean());
}

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(99), Duration(0));
  EXPECT_EQ(histogram.most(), Duration(0));
  EXPECT_EQ(histogram.encode(), "");
}

TEST(Histogram, KnowsItsPercentiles) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.record(microseconds(i));
  EXPECT_EQ(histogram.percentile(50), microseconds(500));
  EXPECT_EQ(histogram.percentile(99), microseconds(990));
  EXPECT_EQ(histogram.percentile(100), microseconds(1000));
  EXPECT_EQ(histogram.least(), microseconds(1));
  EXPECT_EQ(histogram.mean(), Duration(500'500));
}

TEST(Histogram, CountsWhatIsOutOfItsRangeAsItsEnds) {
  Histogram histogram;
  histogram.record(Duration(-5));
  histogram.record(hours(2));
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.least(), microseconds(1));
  EXPECT_NEAR(static_cast<double>(histogram.most().count()),
              static_cast<double>(Duration(minutes(10)).count()), 6e8);
}

TEST(Histogram, TheSumOfTwoIsTheHistogramOfAllThatBothSaw) {
  Histogram sum = of({1, 50, 50, 700'000});
  sum.add(of({3, 2'000, 9'999'999}));
  expect_same(sum, of({1, 50, 50, 700'000, 3, 2'000, 9'999'999}));
}

TEST(Histogram, ComesBackFromItsEncoding) {
  const Histogram histogram = of({1, 5, 5, 5, 1234, 250'000, 60'000'000});
  const auto decoded = Histogram::decode(histogram.encode());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  expect_same(*decoded, histogram);
}

TEST(Histogram, IsEncodedAsHdrHistogramToolsReadIt) {
  EXPECT_EQ(of({10}).encode().substr(0, 6), "HISTFA");  // the V2 cookie in base64
}

TEST(Histogram, RefusesWhatIsNotAnEncoding) {
  const LeaksOfTheLibrary ignored;
  for (const char* text : {"x", "HISTFA", "HISTFAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAA",
                           "HISTFAAAACJ42pNp!!!!"}) {
    EXPECT_FALSE(Histogram::decode(text).has_value()) << text;
  }
}

TEST(Histogram, SurvivesAnEncodingWithAnyByteChanged) {
  const LeaksOfTheLibrary ignored;
  Histogram histogram;
  for (int i = 1; i < 5000; ++i) histogram.record(microseconds(i * i));
  const std::string encoding = histogram.encode();
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    for (const char other : {'A', '/', 'z', '9'}) {
      std::string changed = encoding;
      changed[i] = other;
      const auto decoded = Histogram::decode(changed);
      EXPECT_TRUE(!decoded || decoded->most() <= minutes(11));
    }
  }
}

TEST(Histogram, GivesOutItsBucketsAndStartsAgain) {
  Histogram histogram = of({7, 7, 900});
  Histogram again;
  again.add(histogram.take_buckets());
  expect_same(again, of({7, 7, 900}));
  EXPECT_EQ(histogram.count(), 0u);
}

TEST(Histogram, ACopyIsItsOwn) {
  Histogram first = of({7});
  Histogram second = first;
  second.record(milliseconds(1));
  EXPECT_EQ(first.count(), 1u);
  EXPECT_EQ(second.count(), 2u);
}

}  // namespace
}  // namespace holdfast::load
