#pragma once

// What one worker counts, in sum and second by second. Its worker's thread only; read by others
// when that has ended.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "load/report.h"

namespace holdfast::load {

class Tally {
 public:
  // Second 0 of the series begins at `origin`.
  explicit Tally(Instant origin) : second_end_(origin + std::chrono::seconds(1)) {}

  void opened(Duration took) {
    ++opened_count;
    ++open;
    ++second_.opened;
    opening.record(took);
  }
  void refused(std::string_view reason) {
    ++refused_count;
    ++second_.refused;
    ++refused_by_reason[std::string(reason)];
  }
  void lost(std::string_view reason) {
    ++lost_count;
    --open;
    ++second_.lost;
    ++lost_by_reason[std::string(reason)];
  }
  // Ended by us.
  void left() { --open; }
  void ping() {
    ++pings;
    ++second_.pings;
  }
  void sent() { ++second_.sent; }
  void received(std::uint64_t bytes) {
    ++arrivals;
    ++second_.received;
    messages.received_bytes += bytes;
  }
  void latency(Duration latency) {
    messages.latency.record(latency);
    second_latency_.record(latency);
  }

  Instant second_end() const { return second_end_; }
  // Ends the seconds that are over. At least once a second, or what happened goes to a later one.
  void roll(Instant now) {
    while (now >= second_end_) finish_second();
  }
  // Ends the one that is not over, too.
  void finish() { finish_second(); }

  std::uint64_t open = 0;
  std::uint64_t opened_count = 0;
  std::uint64_t refused_count = 0;
  std::uint64_t lost_count = 0;
  std::uint64_t server_closed = 0;
  std::uint64_t pings = 0;
  std::uint64_t arrivals = 0;
  Reasons refused_by_reason;
  Reasons lost_by_reason;
  Histogram opening;
  MessageFacts messages;
  TlsFacts tls;
  std::vector<Second> seconds;

 private:
  void finish_second() {
    second_.open = open;
    second_.latency = second_latency_.take_buckets();
    seconds.push_back(std::move(second_));
    second_ = {};
    second_end_ += std::chrono::seconds(1);
  }

  Instant second_end_;
  Second second_;
  Histogram second_latency_;
};

}  // namespace holdfast::load
