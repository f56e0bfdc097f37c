#include "load/sequence_window.h"

#include <gtest/gtest.h>

namespace holdfast::load {
namespace {

using Arrival = SequenceWindow::Arrival;

TEST(SequenceWindow, TakesARisingSequence) {
  SequenceWindow window;
  for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(window.note(i), Arrival::kNew);
}

TEST(SequenceWindow, KnowsADuplicate) {
  SequenceWindow window;
  window.note(0);
  window.note(1);
  EXPECT_EQ(window.note(1), Arrival::kDuplicate);
  EXPECT_EQ(window.note(0), Arrival::kDuplicate);
}

TEST(SequenceWindow, KnowsALateOneOnce) {
  SequenceWindow window;
  window.note(0);
  EXPECT_EQ(window.note(5), Arrival::kNew);
  EXPECT_EQ(window.note(3), Arrival::kLate);
  EXPECT_EQ(window.note(3), Arrival::kDuplicate);
  EXPECT_EQ(window.note(4), Arrival::kLate);
  EXPECT_EQ(window.note(6), Arrival::kNew);
}

TEST(SequenceWindow, RemembersSixtyFour) {
  SequenceWindow window;
  window.note(0);
  EXPECT_EQ(window.note(64), Arrival::kNew);
  EXPECT_EQ(window.note(1), Arrival::kLate);
  EXPECT_EQ(window.note(0), Arrival::kDuplicate);
  EXPECT_EQ(window.note(1000), Arrival::kNew);
  EXPECT_EQ(window.note(999), Arrival::kLate);
  EXPECT_EQ(window.note(64), Arrival::kDuplicate);
}

TEST(SequenceWindow, MayStartLate) {
  SequenceWindow window;
  EXPECT_EQ(window.note(7), Arrival::kNew);
  EXPECT_EQ(window.note(6), Arrival::kLate);
  EXPECT_EQ(window.note(7), Arrival::kDuplicate);
}

}  // namespace
}  // namespace holdfast::load
