#include "pusher/channel_name.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::pusher {
namespace {

using Access = ChannelName::Access;

TEST(ChannelName, SaysWhatKindItIs) {
  EXPECT_EQ(classify("news").access, Access::kPublic);
  EXPECT_EQ(classify("private-news").access, Access::kPrivate);
  EXPECT_EQ(classify("private-encrypted-news").access, Access::kEncrypted);
  EXPECT_EQ(classify("presence-room").access, Access::kPresence);
  EXPECT_EQ(classify("#server-to-user-7").access, Access::kUser);
  for (const char* name :
       {"cache-a", "private-cache-a", "presence-cache-a", "private-encrypted-cache-a"}) {
    EXPECT_TRUE(classify(name).is_cache) << name;
  }
  EXPECT_FALSE(classify("private-a-cache-").is_cache);
  EXPECT_FALSE(classify("#server-to-user-cache-").is_cache);
}

TEST(ChannelName, LetsOnlyPlainMembersSpeak) {
  EXPECT_TRUE(classify("private-a").takes_client_events());
  EXPECT_TRUE(classify("presence-cache-a").takes_client_events());
  EXPECT_FALSE(classify("a").takes_client_events());
  EXPECT_FALSE(classify("private-encrypted-a").takes_client_events());
}

TEST(ChannelName, IsShortAndPlain) {
  EXPECT_TRUE(is_channel_name("a-Z_0=@,.;"));
  EXPECT_TRUE(is_channel_name(std::string(164, 'x')));
  EXPECT_FALSE(is_channel_name(std::string(165, 'x')));
  EXPECT_TRUE(is_channel_name("#server-to-user-a b"));
  for (const char* name : {"", "a b", "a/b", "#news", "#server-to-user-", "ä", "a:b"}) {
    EXPECT_FALSE(is_channel_name(name)) << name;
  }
}

}  // namespace
}  // namespace holdfast::pusher
