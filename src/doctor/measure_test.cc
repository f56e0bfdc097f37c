#include "doctor/measure.h"

#include <gtest/gtest.h>

#include "doctor/probes.h"

namespace holdfast::doctor {
namespace {

using namespace std::chrono_literals;

void expect_plausible(const Result<Measured>& measured) {
  ASSERT_TRUE(measured) << measured.error().message;
  EXPECT_EQ(measured->connections, 300u);
  EXPECT_GT(measured->costs.kernel_bytes_per_socket, 1000);
  EXPECT_GT(measured->costs.ping_microseconds, 0.1);
  EXPECT_GT(measured->costs.accept_microseconds, 0.1);
  EXPECT_GT(measured->costs.delivery_microseconds, 0.1);
}

TEST(Measuring, TakesEveryFigureOverPlainEpoll) {
  expect_plausible(measure(net::Io::kEpoll, 300, 30ms));
}

TEST(Measuring, TakesEveryFigureOverIoUringWhereItIsAllowed) {
  if (probe_this_machine(RootedFiles()).io_uring_error != 0)
    GTEST_SKIP() << "io_uring is forbidden here";
  expect_plausible(measure(net::Io::kUring, 300, 30ms));
}

TEST(Probing, LeavesNoDescriptorOpen) {
  const auto open = [] { return RootedFiles().list("/proc/self/fd", "").size(); };
  const std::size_t before = open();
  const Probes probes = probe_this_machine(RootedFiles());
  EXPECT_TRUE(probes.io_uring_error.has_value());
  EXPECT_EQ(open(), before);
}

}  // namespace
}  // namespace holdfast::doctor
