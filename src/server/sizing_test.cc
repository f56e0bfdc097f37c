#include "server/sizing.h"

#include <gtest/gtest.h>

namespace holdfast::server {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// A container's limit under LimitNOFILE=infinity. Tables of so many rows were more than the machine
// has memory, and the server aborted at its start.
TEST(Sizing, MakesTablesForWhatIsNeededHoweverManyDescriptorsThereMayBe) {
  for (const std::uint64_t limit : {std::uint64_t{1'073'741'816}, UINT64_MAX}) {
    Options options;
    const auto small = size_up(options, {2, limit, 4 * kGiB});
    ASSERT_TRUE(small);
    EXPECT_EQ(small->descriptors, kDescriptorsEnough);
    EXPECT_LE(small->connections_per_worker_max, small->descriptors);
    EXPECT_EQ(small->connections_max, 4 * kGiB / kBytesPerConnection);

    options.connections_max = 5'000'000;
    const auto large = size_up(options, {2, limit, 40 * kGiB});
    ASSERT_TRUE(large);
    EXPECT_EQ(large->workers, 2u);
    EXPECT_GE(large->descriptors, 5'000'000u) << "it may fall to one worker to hold all";
    EXPECT_LE(large->descriptors, 5'001'000u);
  }
}

TEST(Sizing, TakesAllDescriptorsOfAnOrdinaryLimit) {
  Options options;
  options.connections_max = 600'000;
  const auto sizing = size_up(options, {2, 20'000, 24 * kGiB});
  ASSERT_TRUE(sizing);
  EXPECT_EQ(sizing->descriptors, 20'000u);
  EXPECT_EQ(sizing->connections_per_worker_max, 20'000u - 128 - sizing->workers - 1);
}

}  // namespace
}  // namespace holdfast::server
