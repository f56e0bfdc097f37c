#pragma once

// Durations counted by size, with three significant digits. Histograms add up exactly: the sum of
// two is the histogram of all that both saw, which no average of percentiles is.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

struct hdr_histogram;

namespace holdfast::load {

// So many durations of about this size.
struct Bucket {
  std::uint32_t microseconds;
  std::uint32_t times;
};

// 1 µs to 10 min in whole microseconds; what is outside counts as the nearest end. About 170 KB
// from the first record on, one pointer before. One thread at a time.
class Histogram {
 public:
  Histogram() = default;
  Histogram(const Histogram& other);
  Histogram(Histogram&& other) noexcept = default;
  Histogram& operator=(Histogram other) noexcept;
  ~Histogram() = default;

  void record(Duration duration, std::uint64_t times = 1);
  void add(const Histogram& other);
  void add(std::span<const Bucket> buckets);
  // Empties it, and gives out what it held: a few bytes for each size that occurred.
  std::vector<Bucket> take_buckets();

  std::uint64_t count() const;
  // The duration that `percent` of the recorded ones do not exceed; 0 where none was recorded. 0 <
  // percent <= 100.
  Duration percentile(double percent) const;
  Duration least() const;
  Duration mean() const;
  Duration most() const;

  // HdrHistogram's V2 log encoding, compressed and in base64, in microseconds: read by every
  // HdrHistogram tool. Empty for an empty histogram.
  std::string encode() const;
  // The error says that the text is not such an encoding.
  static Result<Histogram> decode(std::string_view text);

 private:
  struct Free {
    void operator()(hdr_histogram* histogram) const;
  };
  hdr_histogram& get();

  std::unique_ptr<hdr_histogram, Free> histogram_;
};

}  // namespace holdfast::load
