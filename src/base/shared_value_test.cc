#include "base/shared_value.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace holdfast {
namespace {

TEST(SharedValue, AReaderKeepsWhatItTook) {
  SharedValue<const int> value(std::make_shared<const int>(1));
  const auto before = value.load();
  value.store(std::make_shared<const int>(2));
  EXPECT_EQ(*before, 1);
  EXPECT_EQ(*value.load(), 2);
}

TEST(SharedValue, TheOldValueGoesWithItsLastReader) {
  auto first = std::make_shared<const int>(1);
  const std::weak_ptr<const int> watched = first;
  SharedValue<const int> value(std::move(first));
  auto reader = value.load();
  value.store(std::make_shared<const int>(2));
  EXPECT_FALSE(watched.expired());
  reader.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(SharedValue, ReadersSeeWholeValuesInTheOrderOfTheirStores) {
  SharedValue<const int> value(std::make_shared<const int>(0));
  constexpr int kLast = 2000;
  std::atomic<int> backwards{0};
  const auto read = [&] {
    for (int seen = 0; seen < kLast;) {
      const int now = *value.load();
      if (now < seen) ++backwards;
      seen = now;
    }
  };
  std::thread one(read), two(read);
  for (int i = 1; i <= kLast; ++i) value.store(std::make_shared<const int>(i));
  one.join();
  two.join();
  EXPECT_EQ(backwards, 0);
}

}  // namespace
}  // namespace holdfast
