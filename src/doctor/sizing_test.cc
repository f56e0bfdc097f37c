#include "doctor/sizing.h"

#include <gtest/gtest.h>

#include "doctor/examination_text.h"
#include "doctor/sizing_text.h"

namespace holdfast::doctor {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr UnitCosts kCosts = {4000, 8000, 10, 30, 5, 1};

Size size(Load load, Machine machine = {24 * kGiB, 2, kOpenFilesMax}, Prices prices = {}) {
  return size_of(load, kCosts, machine, prices);
}

TEST(Frames, HaveTwoFourOrTenBytesOfHeaderAndAMaskFromClients) {
  EXPECT_EQ(frame_header_bytes(0, false), 2u);
  EXPECT_EQ(frame_header_bytes(125, false), 2u);
  EXPECT_EQ(frame_header_bytes(126, false), 4u);
  EXPECT_EQ(frame_header_bytes(65'535, false), 4u);
  EXPECT_EQ(frame_header_bytes(65'536, false), 10u);
  EXPECT_EQ(frame_header_bytes(0, true), 6u);
}

TEST(Traffic, CountsHeadersOfEachSegment) {
  const Traffic small = segments(1, 2);
  EXPECT_DOUBLE_EQ(small.packets_per_second, 1);
  EXPECT_DOUBLE_EQ(small.ip_bytes_per_second, 54);
  EXPECT_DOUBLE_EQ(small.wire_bits_per_second, (54 + 38) * 8);
  const Traffic large = segments(10, 1448 * 2 + 1);
  EXPECT_DOUBLE_EQ(large.packets_per_second, 30);
  EXPECT_DOUBLE_EQ(large.ip_bytes_per_second, 10 * (2897 + 3 * 52));
}

TEST(Keepalive, OfIdleConnectionsTakesPingPongAndAcknowledgement) {
  const Size idle = size({.connections = 600'000});
  EXPECT_DOUBLE_EQ(idle.keepalive_cores, 24'000 * 10e-6);
  EXPECT_DOUBLE_EQ(idle.out.packets_per_second, 48'000);
  EXPECT_DOUBLE_EQ(idle.in.packets_per_second, 24'000);
  EXPECT_DOUBLE_EQ(idle.out.ip_bytes_per_second, 24'000 * (54 + 52));
  EXPECT_DOUBLE_EQ(idle.in.ip_bytes_per_second, 24'000 * 58);
  EXPECT_NEAR(idle.egress_gigabytes_per_month, 24'000.0 * 106 * 730 * 3600 / 1e9, 1e-6);
}

TEST(Keepalive, ThatIsOffCostsNothing) {
  const Size silent = size({.connections = 600'000, .ping_interval = std::chrono::milliseconds(0)});
  EXPECT_EQ(silent.keepalive_cores, 0);
  EXPECT_EQ(silent.out.packets_per_second, 0);
  EXPECT_EQ(silent.egress_gigabytes_per_month, 0);
}

TEST(Messages, CostCpuByNumberAndByLength) {
  EXPECT_DOUBLE_EQ(size({100'000, 1, 100}).message_cores, 100'000 * 5e-6);
  EXPECT_DOUBLE_EQ(size({100'000, 1, 100 + 1024}).message_cores, 100'000 * 6e-6);
  EXPECT_GT(size({100'000, 1, 100}).burst_bytes, 0);
  EXPECT_EQ(size({100'000, 0, 100}).burst_bytes, 0);
}

TEST(Machines, AreAsManyAsMemoryOrCpuTake) {
  const Machine small = {4 * kGiB, 2, kOpenFilesMax};
  EXPECT_EQ(size({.connections = 100'000}, small).machines, 1u);
  const Size by_memory =
      size({.connections = 2'000'000, .ping_interval = std::chrono::milliseconds(0)}, small);
  EXPECT_EQ(by_memory.machines, 3u);
  EXPECT_TRUE(by_memory.memory_decides);
  const Size by_cpu = size({500'000, 1, 100});
  EXPECT_EQ(by_cpu.machines, 2u);
  EXPECT_FALSE(by_cpu.memory_decides);
}

TEST(Cost, IsMachinesByTheHourAndEgressByTheGigabyte) {
  const Size idle = size({.connections = 600'000}, {24 * kGiB, 2, kOpenFilesMax},
                         {.machine_hour = 0.1, .egress_gigabyte = 0.09});
  EXPECT_DOUBLE_EQ(*idle.machine_cost_per_month, 73);
  EXPECT_DOUBLE_EQ(*idle.egress_cost_per_month, 0.09 * idle.egress_gigabytes_per_month);
  EXPECT_FALSE(size({.connections = 1}).machine_cost_per_month);
}

TEST(Plan, NamesTheFiguresItReckonsWith) {
  const Plan plan = make_plan({.connections = 600'000}, {24 * kGiB, 2, 20'000}, {},
                              {{"recorded, epoll", kRecordedPlain}, {"mine", kCosts}}, 1);
  const std::string text = to_text(plan);
  EXPECT_NE(text.find("reckoned with: mine"), std::string::npos);
  EXPECT_NE(text.find("32 workers"), std::string::npos);
  EXPECT_NE(text.find("recorded, epoll: 0.34 cores"), std::string::npos);
  const nlohmann::json json = to_json(plan);
  EXPECT_EQ(json["workers"], 32);
  EXPECT_EQ(json["unit_costs"]["mine"]["ping_microseconds"], 10);
}

TEST(WrappedText, BreaksAtBlanksAndNeverInsideAWord) {
  EXPECT_EQ(wrapped("one two three", 2, 9), "  one two\n  three\n");
  EXPECT_EQ(wrapped("a-word-that-is-too-long x", 0, 5), "a-word-that-is-too-long\nx\n");
  EXPECT_EQ(wrapped("", 4, 20), "");
}

}  // namespace
}  // namespace holdfast::doctor
