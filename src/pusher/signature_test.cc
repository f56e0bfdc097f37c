#include "pusher/signature.h"

#include <gtest/gtest.h>

namespace holdfast::pusher {
namespace {

constexpr std::string_view kKey = "278d425bdf160c739803";
constexpr std::string_view kSecret = "7ad3773142a6692b25b8";

TEST(Signature, JoinsAPrivateChannel) {
  EXPECT_EQ(sign(kSecret, text_to_join("1234.1234", "private-foobar", std::nullopt)),
            "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4");
}

TEST(Signature, JoinsAPresenceChannelWithItsDataAsItCame) {
  EXPECT_EQ(sign(kSecret, text_to_join("1234.1234", "presence-foobar",
                                       R"({"user_id":10,"user_info":{"name":"Mr. Channels"}})")),
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80");
}

TEST(Signature, SignsAUserIn) {
  EXPECT_EQ(sign(kSecret, text_to_sign_in("1234.1234", R"({"id":"12345"})")),
            "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba");
}

TEST(Signature, CoversARequestsParametersSortedAndDecoded) {
  const std::string body =
      R"({"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"})";
  EXPECT_EQ(md5_of(body), "ec365a775a4cd0599faeb73354201b6f");
  const std::string query =
      "body_md5=ec365a775a4cd0599faeb73354201b6f&auth_version=1.0&auth_key=278d425bdf160c739803"
      "&auth_timestamp=1353088179&auth_signature=ignored";
  EXPECT_EQ(sign(kSecret, text_of_request("POST", "/apps/3/events", query)),
            "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c");
  EXPECT_EQ(text_of_request("GET", "/x", "B=2%2C3&a=1+1"), "GET\n/x\na=1 1&b=2,3");
}

TEST(Signature, IsRefusedForAnotherKeySecretOrText) {
  const std::string text = text_to_join("1.2", "private-a", std::nullopt);
  const std::string auth = std::string(kKey) + ":" + sign(kSecret, text);
  EXPECT_TRUE(is_signed(auth, kKey, kSecret, text));
  EXPECT_FALSE(is_signed(auth, "another", kSecret, text));
  EXPECT_FALSE(is_signed(auth, kKey, "another", text));
  EXPECT_FALSE(is_signed(auth, kKey, kSecret, text + "b"));
  EXPECT_FALSE(is_signed(auth.substr(0, auth.size() - 1), kKey, kSecret, text));
  EXPECT_FALSE(is_signed("", kKey, kSecret, text));
}

}  // namespace
}  // namespace holdfast::pusher
