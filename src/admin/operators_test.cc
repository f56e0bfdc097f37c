#include "admin/operators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace holdfast::admin {
namespace {

class FakeRequest final : public Request {
 public:
  FakeRequest(bool local, std::map<std::string, std::string> headers)
      : local_(local), headers_(std::move(headers)) {}
  std::string_view method() const override { return "POST"; }
  std::string_view path() const override { return "/"; }
  std::string_view query() const override { return ""; }
  std::optional<std::string_view> header(std::string_view name) const override {
    const auto found = headers_.find(std::string(name));
    return found == headers_.end() ? std::nullopt : std::optional<std::string_view>(found->second);
  }
  Bytes body() const override { return {}; }
  std::string remote_address() const override { return local_ ? "127.0.0.1" : "192.0.2.1"; }
  bool from_loopback() const override { return local_; }
  std::vector<std::string_view> subprotocols() const override { return {}; }

 private:
  bool local_;
  std::map<std::string, std::string> headers_;
};

bool is_let_in(bool local, std::map<std::string, std::string> headers) {
  return !refuse_stranger(FakeRequest(local, std::move(headers)));
}

TEST(Operators, ComeFromTheMachineItself) {
  EXPECT_TRUE(is_let_in(true, {{"Host", "127.0.0.1:9090"}}));
  EXPECT_FALSE(is_let_in(false, {{"Host", "127.0.0.1:9090"}}));
}

TEST(Operators, UseThisListenersOwnPage) {
  EXPECT_TRUE(is_let_in(true, {{"Host", "localhost:1"}, {"Origin", "http://localhost:1"}}));
  EXPECT_TRUE(is_let_in(true, {{"Host", "127.0.0.1:1"}, {"Origin", "http://127.0.0.1:1"}}));
  EXPECT_TRUE(is_let_in(true, {{"Host", "[::1]:1"}, {"Origin", "http://[::1]:1"}}));
  EXPECT_FALSE(is_let_in(true, {{"Host", "127.0.0.1:1"}, {"Origin", "https://example.com"}}));
  EXPECT_FALSE(is_let_in(true, {{"Host", "127.0.0.1:1"}, {"Origin", "null"}}));
}

TEST(Operators, AreNotSpokenForByANameThatWasMadeToPointHere) {
  EXPECT_FALSE(is_let_in(true, {{"Host", "evil.example:1"}, {"Origin", "http://evil.example:1"}}));
}

TEST(PeerIdText, ReadsWhatItWrites) {
  const PeerId id{3, 1042, 17};
  EXPECT_EQ(id_text(id), "3-1042-17");
  EXPECT_EQ(read_id("3-1042-17"), id);
  for (const char* wrong : {"", "3", "3-1042", "3-1042-", "3-1042-0", "3-1042-17-", "a-b-c",
                            "-3-1042-17", "3-1042-99999999999"})
    EXPECT_FALSE(read_id(wrong)) << wrong;
}

TEST(CloseCodes, ThatAreForOthersAreNotSent) {
  for (const unsigned code : {1000u, 1003u, 1007u, 1014u, 3000u, 4999u})
    EXPECT_TRUE(may_be_sent(code));
  for (const unsigned code : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 2999u, 5000u})
    EXPECT_FALSE(may_be_sent(code));
}

}  // namespace
}  // namespace holdfast::admin
