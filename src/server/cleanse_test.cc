#include "holdfast/server.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace holdfast {
namespace {

// A sanitizer has a malloc of its own, and tells of who reads what was freed.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// In processes of their own, which have not used OpenSSL.
class CleanseDeathTest : public testing::Test {
 protected:
  CleanseDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(CleanseDeathTest, OverwritesWhatOpenSslFrees) {
  const auto look = [] {
    if (!cleanse_freed_secrets()) std::exit(1);
    constexpr std::string_view kSecret = "a secret that nobody is to find in what was freed";
    auto* block = static_cast<char*>(OPENSSL_malloc(kSecret.size()));
    std::memcpy(block, kSecret.data(), kSecret.size());
    // The allocator links what is free through its first bytes; the rest is as it was left.
    const volatile char* last = block + kSecret.size() - 1;
    OPENSSL_free(block);
    std::exit(*last == 0 ? 0 : 2);
  };
  EXPECT_EXIT(look(), testing::ExitedWithCode(0), "");
}

TEST_F(CleanseDeathTest, SaysThatItIsTooLate) {
  const auto late = [] {
    OPENSSL_free(OPENSSL_malloc(1));
    std::exit(cleanse_freed_secrets() ? 1 : 0);
  };
  EXPECT_EXIT(late(), testing::ExitedWithCode(0), "");
}

#endif

}  // namespace
}  // namespace holdfast
