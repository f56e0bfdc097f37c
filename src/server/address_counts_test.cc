#include "server/address_counts.h"

#include <gtest/gtest.h>

#include <thread>

namespace holdfast::server {
namespace {

IpAddress address(std::uint32_t number) {
  const std::array bytes = {std::byte{10}, std::byte(number >> 16), std::byte(number >> 8),
                            std::byte(number)};
  return IpAddress::from_v4(bytes);
}

TEST(AddressCounts, LetAnAddressHaveItsShareAndNoMore) {
  AddressCounts counts(2);
  const auto first = counts.enter(address(1));
  ASSERT_TRUE(first);
  ASSERT_TRUE(counts.enter(address(1)));
  EXPECT_FALSE(counts.enter(address(1)));
  EXPECT_TRUE(counts.enter(address(2)));
  counts.leave(*first);
  EXPECT_TRUE(counts.enter(address(1)));
  EXPECT_FALSE(counts.enter(address(1)));
}

TEST(AddressCounts, TakeThe64OfIpv6ForOneAddress) {
  AddressCounts counts(2);
  const auto enter = [&](const char* text) { return counts.enter(*IpAddress::parse(text)); };
  const auto first = enter("2001:db8:1:2::1");
  ASSERT_TRUE(first);
  EXPECT_TRUE(enter("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(enter("2001:db8:1:2::3"));
  EXPECT_TRUE(enter("2001:db8:1:3::3"));
  EXPECT_TRUE(enter("::ffff:192.0.2.1"));
  EXPECT_TRUE(enter("192.0.2.2"));
  EXPECT_TRUE(enter("192.0.2.3")) << "all of IPv4 lies in one /64";
  counts.leave(*first);
  EXPECT_TRUE(enter("2001:db8:1:2::4"));
}

TEST(AddressCounts, NeverMistakeOneAddressForAnother) {
  // Far more than there are shards, and more than any table of hashes of a reasonable size could
  // keep apart.
  constexpr std::uint32_t kAddresses = 200'000;
  AddressCounts counts(1);
  std::vector<AddressCounts::Place> places;
  for (std::uint32_t i = 0; i < kAddresses; ++i) {
    const auto place = counts.enter(address(i));
    ASSERT_TRUE(place) << i;
    places.push_back(*place);
  }
  for (std::uint32_t i = 0; i < kAddresses; i += 1000) EXPECT_FALSE(counts.enter(address(i))) << i;
  EXPECT_EQ(counts.addresses(), kAddresses);
  for (const auto place : places) counts.leave(place);
  EXPECT_EQ(counts.addresses(), 0u);
}

TEST(AddressCounts, KeepNothingOfThoseWhoLeft) {
  AddressCounts counts(1);
  AddressCounts::Place most = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const auto place = counts.enter(address(i));
    most = std::max(most, *place);
    counts.leave(*place);
  }
  EXPECT_EQ(counts.addresses(), 0u);
  EXPECT_LE(most, 64u) << "one row in each shard, used again and again";
}

TEST(AddressCounts, AreExactAcrossThreads) {
  AddressCounts counts(1000);
  std::atomic<int> let_in{0};
  const auto crowd = [&] {
    for (int i = 0; i < 2000; ++i) {
      if (const auto place = counts.enter(address(7))) ++let_in;
      if (const auto place = counts.enter(address(static_cast<std::uint32_t>(1000 + i))))
        counts.leave(*place);
    }
  };
  std::thread other(crowd);
  crowd();
  other.join();
  EXPECT_EQ(let_in, 1000);
  EXPECT_EQ(counts.addresses(), 1u);
}

}  // namespace
}  // namespace holdfast::server
