#include "server/option_bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "holdfast/server.h"

namespace holdfast::server {
namespace {

using testing::HasSubstr;
using testing::Optional;
using testing::StartsWith;

Options with(const OptionBounds& bounds, std::uint64_t value) {
  Options options;
  std::visit(
      [&](auto field) {
        using Value = std::remove_reference_t<decltype(options.*field)>;
        if constexpr (std::is_same_v<Value, Options::Milliseconds>) {
          options.*field = Options::Milliseconds(static_cast<std::int64_t>(value));
        } else {
          options.*field = static_cast<Value>(value);
        }
      },
      bounds.field);
  return options;
}

TEST(OptionBounds, LetTheDefaultsPass) { EXPECT_EQ(option_out_of_bounds(Options()), std::nullopt); }

TEST(OptionBounds, AreTakenAndWhatIsBeyondThemIsNot) {
  for (const OptionBounds& bounds : option_bounds()) {
    SCOPED_TRACE(bounds.name);
    EXPECT_EQ(option_out_of_bounds(with(bounds, bounds.least)), std::nullopt);
    EXPECT_EQ(option_out_of_bounds(with(bounds, bounds.most)), std::nullopt);
    const auto refusal = Optional(StartsWith(std::string(bounds.name) + ": "));
    EXPECT_THAT(option_out_of_bounds(with(bounds, bounds.most + 1)), refusal);
    if (bounds.least > 1) {
      EXPECT_THAT(option_out_of_bounds(with(bounds, bounds.least - 1)), refusal);
    }
    if (bounds.least == 0) continue;
    EXPECT_EQ(option_out_of_bounds(with(bounds, 0)).has_value(), !bounds.or_zero);
  }
}

TEST(OptionBounds, RefuseTimesThatAreNegative) {
  Options options;
  options.drain_time = std::chrono::milliseconds(-1);
  EXPECT_THAT(option_out_of_bounds(options), Optional(HasSubstr("drain_time: -1 is out")));
}

// It dropped every peer in the turn in which it was pinged.
TEST(OptionBounds, KeepAServerFromStarting) {
  Options options;
  options.listen = {"127.0.0.7:0"};
  options.pong_timeout = std::chrono::milliseconds(0);
  Server server(options);
  EXPECT_EQ(server.start(), "pong_timeout: 0 is out of bounds; 100 to 3600000 ms");
}

}  // namespace
}  // namespace holdfast::server
