#include "admin/readiness.h"

#include <gtest/gtest.h>

namespace holdfast::admin {
namespace {

TEST(Readiness, IsLostAtTheHighWaterMarkAndSaysOfWhat) {
  const std::vector<Resource> calm = {
      {"connections", 899, 1000}, {"memory", 5, 100}, {"conntrack", 0, 0}};
  EXPECT_TRUE(readiness(calm, false, 90).ready);
  const std::vector<Resource> full = {{"connections", 10, 1000}, {"memory", 90, 100}};
  const Readiness answer = readiness(full, false, 90);
  EXPECT_FALSE(answer.ready);
  EXPECT_NE(answer.reason.find("memory at 90 %"), std::string::npos) << answer.reason;
}

TEST(Readiness, IsLostWhileDraining) {
  EXPECT_FALSE(readiness({}, true, 90).ready);
  EXPECT_EQ(readiness({}, true, 90).reason, "draining");
}

}  // namespace
}  // namespace holdfast::admin
