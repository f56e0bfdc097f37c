#include "load/message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/time.h"

namespace holdfast::load {
namespace {

std::vector<std::byte> written(const Message& message, std::size_t size) {
  std::vector<std::byte> bytes(size);
  write_message(bytes, message);
  return bytes;
}

constexpr Message kMessage{0xdeadbeef, 42, Instant(Duration(1'234'567'890'123))};

TEST(Message, ComesBackAsItWasWritten) {
  for (const std::size_t size : {32u, 33u, 100u, 4160u, 4192u, 4193u, 70'000u}) {
    const auto read = read_message(written(kMessage, size));
    ASSERT_TRUE(read.has_value()) << size;
    EXPECT_EQ(*read, kMessage) << size;
  }
}

TEST(Message, IsPrintableSoThatItMayTravelAsText) {
  for (const std::byte byte : written(kMessage, 200)) {
    EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(byte)));
  }
}

TEST(Message, IsNotRecognisedWhenAnyByteOfItChanged) {
  const auto original = written(kMessage, 64);
  for (std::size_t i = 0; i < original.size(); ++i) {
    auto changed = original;
    changed[i] = std::byte{'!'};
    EXPECT_FALSE(read_message(changed).has_value()) << "byte " << i;
  }
}

TEST(Message, IsNotRecognisedWhenCutShort) {
  EXPECT_FALSE(read_message(Bytes(written(kMessage, 64)).subspan(0, 31)).has_value());
  EXPECT_FALSE(read_message({}).has_value());
}

}  // namespace
}  // namespace holdfast::load
