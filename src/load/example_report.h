#pragma once

// A report with something in every field, for tests.

#include "load/report.h"

namespace holdfast::load {

inline Report example_report(std::string host = "a", std::int64_t began = 1'800'000'000) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Report report;
  report.version = "v1";
  report.command_line = "holdfast load ws://10.0.0.1/topics/x";
  report.machines = {{std::move(host), "Linux 6.18 x86_64", "a CPU", 4, 1ull << 34}};
  report.url = "ws://10.0.0.1/topics/x";
  report.scenario = "fanout";
  report.io = "io_uring";
  report.workers = 4;
  report.source_addresses = 2;
  report.connections = 1000;
  report.rate = 500;
  report.hold = seconds(3);
  report.message_rate = 2;
  report.message_bytes = 64;
  report.opened = 999;
  report.refused = {{"HTTP 503", 1}};
  report.never_tried = 0;
  report.time_to_open = seconds(2);
  for (int i = 1; i <= 999; ++i) report.opening.record(microseconds(i * 3));
  report.held = 998;
  report.lost = {{"close 1001", 1}};
  report.server_closed = 1;
  report.pings_in_all = 2100;
  report.held_for = seconds(3);
  report.pings = {998, 1996, 1, 3, began + 2, 2, 0, 0};
  report.messages.sent = 6;
  report.messages.refused = {{"HTTP 500", 1}};
  report.messages.expected = 5994;
  report.messages.received = 5990;
  report.messages.duplicates = 1;
  report.messages.reordered = 2;
  report.messages.wrong = 3;
  report.messages.foreign = 4;
  report.messages.unsent = 5;
  report.messages.received_bytes = 383'360;
  report.messages.latency.record(milliseconds(4), 5990);
  report.messages.lateness.record(microseconds(50), 6);
  report.messages.publishing.record(milliseconds(5), 6);
  report.tls = {990, 9, 8, 7, 6, 5, 4, 3};
  report.rounds = {{1000, 999, 1, milliseconds(1500)}};
  report.odd.kind = "silent";
  report.odd.asked = 10;
  report.odd.opened = 9;
  report.odd.dropped = 8;
  report.odd.dropped_after.record(seconds(35), 8);
  report.own = {seconds(1), seconds(2), seconds(6), 4, 0.5, 0.25, 1 << 20};
  report.series_start = began;
  report.series = {{500, 500, 0, 0, 0, 0, 0, {}},
                   {999, 499, 1, 0, 0, 0, 0, {}},
                   {999, 0, 0, 0, 700, 2, 1998, {{4000, 1998}}},
                   {998, 0, 0, 1, 1200, 4, 3992, {{3000, 2}, {4000, 3990}}}};
  report.count_pings_by_second();
  report.verdict = {
      Verdict::Kind::kLost, "lost 2 connections", {"a note", "generator-bound: of this machine"}};
  return report;
}

}  // namespace holdfast::load
