#include "net/slot_width.h"

#include <gtest/gtest.h>

namespace holdfast::net {
namespace {

TEST(SlotWidth, GivesEachOfManyPeersANarrowSlotAndFewPeersMore) {
  const SlotWidth slots(512);
  EXPECT_EQ(slots.batch(), 64u);
  EXPECT_EQ(slots.width(64), 512u);
  EXPECT_EQ(slots.width(33), 512u);
  EXPECT_EQ(slots.width(32), 1024u);
  EXPECT_EQ(slots.width(9), 3584u);
  EXPECT_EQ(slots.width(1), 4096u);
}

TEST(SlotWidth, WidensWithTheMessagesAndTakesFewerAtOnce) {
  SlotWidth slots(512);
  slots.learn(511);
  EXPECT_EQ(slots.batch(), 64u);
  slots.learn(512);
  EXPECT_EQ(slots.batch(), 32u);
  EXPECT_EQ(slots.width(32), 1024u);
  for (int i = 0; i < 10; ++i) slots.learn(100000);
  EXPECT_EQ(slots.batch(), 8u);
  EXPECT_EQ(slots.width(8), 4096u);
}

TEST(SlotWidth, NarrowsAgainAfterAWhileWithoutLongMessages) {
  SlotWidth slots(512);
  slots.learn(1000);
  for (std::uint32_t i = 0; i < SlotWidth::kQuietBatches - 1; ++i) slots.learn(512);
  slots.learn(513);  // still of use
  for (std::uint32_t i = 0; i < SlotWidth::kQuietBatches - 1; ++i) slots.learn(512);
  EXPECT_EQ(slots.batch(), 32u);
  slots.learn(512);
  EXPECT_EQ(slots.batch(), 64u);
}

TEST(SlotWidth, NeverHandsOutMoreThanItsMemory) {
  SlotWidth slots(512);
  for (const std::uint32_t largest : {0u, 512u, 1024u, 2048u, 4096u}) {
    slots.learn(largest);
    for (std::size_t count = 1; count <= slots.batch(); ++count) {
      EXPECT_LE(count * slots.width(count), slots.memory_bytes());
    }
  }
}

}  // namespace
}  // namespace holdfast::net
