#include "server/stream_lender.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::server {
namespace {

int bits(std::size_t message_bytes, std::uint8_t window_bits) {
  return kLentWindowBits[lent_window_of(message_bytes, window_bits)];
}

TEST(StreamLender, LendsTheSmallestWindowThatSeesAllOfAMessage) {
  EXPECT_EQ(bits(1, 15), 9);
  EXPECT_EQ(bits(250, 15), 9);
  EXPECT_EQ(bits(251, 15), 12);
  EXPECT_EQ(bits(3834, 15), 12);
  EXPECT_EQ(bits(3835, 15), 15);
  EXPECT_EQ(bits(16 << 20, 15), 15);
}

TEST(StreamLender, LendsNoWindowThatAReceiverCouldNotFollow) {
  for (std::uint8_t receiver = 8; receiver <= 15; ++receiver) {
    for (std::size_t size = 1; size < 100'000; size += 37) {
      const bool fits =
          bits(size, receiver) <= std::max<int>(receiver, 9) || size <= std::size_t{1} << receiver;
      ASSERT_TRUE(fits) << size << " bytes, receiver " << int{receiver};
    }
  }
  EXPECT_EQ(bits(5000, 10), 9);
  EXPECT_EQ(bits(5000, 12), 12);
  EXPECT_EQ(bits(5000, 13), 15) << "no reference can be longer than the message";
  EXPECT_EQ(bits(700, 8), 9) << "which refers back 250 bytes at most";
}

}  // namespace
}  // namespace holdfast::server
