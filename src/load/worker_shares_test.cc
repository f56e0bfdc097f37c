#include "load/worker_shares.h"

#include <gtest/gtest.h>

#include <numeric>

namespace holdfast::load {
namespace {

TEST(WorkerShares, OnePerCpuIsEnoughWhereDescriptorsAre) {
  const auto shares = share_out(600'000, 0, 4, 1'048'576, false);
  ASSERT_TRUE(shares);
  EXPECT_EQ(shares->workers, 4u);
  EXPECT_EQ(shares->connections, 600'000u);
}

TEST(WorkerShares, ASmallLimitMeansMoreWorkers) {
  const auto shares = share_out(600'000, 0, 2, 20'000, false);
  ASSERT_TRUE(shares);
  EXPECT_EQ(shares->workers, 31u);
  for (std::uint32_t i = 0; i < shares->workers; ++i)
    EXPECT_LE(shares->count_of(i), 20'000 - kDescriptorsKept - 31);
}

TEST(WorkerShares, EveryConnectionBelongsToOneWorker) {
  const WorkerShares shares{7, 100};
  std::uint64_t next = 0;
  for (std::uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(shares.first_of(i), next);
    next += shares.count_of(i);
  }
  EXPECT_EQ(next, 100u);
}

TEST(WorkerShares, FewConnectionsNeedNoMoreWorkersThanThereAreOfThem) {
  EXPECT_EQ(share_out(3, 0, 16, 20'000, false)->workers, 3u);
}

TEST(WorkerShares, SaysWhichWorkersWouldDo) {
  const auto shares = share_out(600'000, 2, 2, 20'000, false);
  ASSERT_FALSE(shares);
  EXPECT_NE(shares.error().message.find("--workers 2"), std::string::npos)
      << shares.error().message;
  EXPECT_NE(shares.error().message.find("it takes 31"), std::string::npos)
      << shares.error().message;
}

TEST(WorkerShares, SaysWhichLimitWouldDo) {
  const auto shares = share_out(2'000'000, 0, 2, 1024, false);
  ASSERT_FALSE(shares);
  EXPECT_NE(shares.error().message.find("3,106"), std::string::npos) << shares.error().message;
  EXPECT_TRUE(share_out(2'000'000, 0, 2, 3106, false));
  EXPECT_FALSE(share_out(2'000'000, 0, 2, 1024 - 900, false));
}

TEST(WorkerShares, GoesOnWithFewerWhenAllowed) {
  const auto shares = share_out(600'000, 2, 2, 20'000, true);
  ASSERT_TRUE(shares);
  EXPECT_EQ(shares->workers, 2u);
  EXPECT_EQ(shares->connections, 2 * (20'000 - kDescriptorsKept - 2));
}

}  // namespace
}  // namespace holdfast::load
