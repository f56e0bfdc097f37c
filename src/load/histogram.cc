#include "load/histogram.h"

#include <fmt/format.h>
#include <hdr_histogram.h>
#include <hdr_histogram_log.h>

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace holdfast::load {
namespace {

constexpr std::int64_t kLeastMicroseconds = 1;
constexpr std::int64_t kMostMicroseconds = 600'000'000;
constexpr int kSignificantDigits = 3;

Duration from_microseconds(std::int64_t microseconds) {
  return std::chrono::microseconds(microseconds);
}

hdr_histogram* create() {
  hdr_histogram* histogram = nullptr;
  CHECK(hdr_init(kLeastMicroseconds, kMostMicroseconds, kSignificantDigits, &histogram) == 0);
  return histogram;
}

}  // namespace

void Histogram::Free::operator()(hdr_histogram* histogram) const { hdr_close(histogram); }

Histogram::Histogram(const Histogram& other) { add(other); }

Histogram& Histogram::operator=(Histogram other) noexcept {
  histogram_.swap(other.histogram_);
  return *this;
}

hdr_histogram& Histogram::get() {
  if (histogram_ == nullptr) histogram_.reset(create());
  return *histogram_;
}

void Histogram::record(Duration duration, std::uint64_t times) {
  const std::int64_t microseconds = std::chrono::round<std::chrono::microseconds>(duration).count();
  hdr_record_values(&get(), std::clamp(microseconds, kLeastMicroseconds, kMostMicroseconds),
                    static_cast<std::int64_t>(times));
}

void Histogram::add(const Histogram& other) {
  if (other.count() > 0) CHECK(hdr_add(&get(), other.histogram_.get()) == 0);
}

void Histogram::add(std::span<const Bucket> buckets) {
  for (const Bucket bucket : buckets)
    record(std::chrono::microseconds(bucket.microseconds), bucket.times);
}

std::vector<Bucket> Histogram::take_buckets() {
  std::vector<Bucket> buckets;
  if (count() == 0) return buckets;
  hdr_iter iterator;
  hdr_iter_recorded_init(&iterator, histogram_.get());
  while (hdr_iter_next(&iterator)) {
    buckets.push_back(
        {static_cast<std::uint32_t>(iterator.value), static_cast<std::uint32_t>(iterator.count)});
  }
  hdr_reset(histogram_.get());
  return buckets;
}

std::uint64_t Histogram::count() const {
  return histogram_ == nullptr ? 0 : static_cast<std::uint64_t>(histogram_->total_count);
}

Duration Histogram::percentile(double percent) const {
  return count() == 0 ? Duration(0)
                      : from_microseconds(hdr_value_at_percentile(histogram_.get(), percent));
}

Duration Histogram::least() const {
  return count() == 0 ? Duration(0) : from_microseconds(hdr_min(histogram_.get()));
}

Duration Histogram::mean() const {
  return count() == 0 ? Duration(0)
                      : Duration(static_cast<std::int64_t>(hdr_mean(histogram_.get()) * 1000));
}

Duration Histogram::most() const {
  return count() == 0 ? Duration(0) : from_microseconds(hdr_max(histogram_.get()));
}

std::string Histogram::encode() const {
  if (count() == 0) return {};
  char* encoded = nullptr;
  CHECK(hdr_log_encode(histogram_.get(), &encoded) == 0);
  std::string result(encoded);
  std::free(encoded);
  return result;
}

Result<Histogram> Histogram::decode(std::string_view text) {
  Histogram result;
  if (text.empty()) return result;
  std::string copy(text);
  hdr_histogram* decoded = nullptr;
  if (const int error = hdr_log_decode(&decoded, copy.data(), copy.size()); error != 0) {
    return failure(
        fmt::format("not a histogram in HdrHistogram's V2 log encoding: {}", hdr_strerror(error)));
  }
  // Added to one of our own shape, so that whatever shape came from elsewhere can be added to
  // later.
  const std::unique_ptr<hdr_histogram, Free> owner(decoded);
  if (decoded->total_count < 0 || hdr_add(&result.get(), decoded) != 0) {
    return failure("a histogram with values beyond 10 minutes, which Holdfast does not write");
  }
  return result;
}

}  // namespace holdfast::load
