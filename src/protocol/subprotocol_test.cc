#include "protocol/subprotocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace holdfast::protocol {
namespace {

TEST(Subprotocol, IsOfferedInOneFieldOrSeveralAndKeepsTheClientsOrder) {
  const std::array headers = {HttpHeader{"Host", "chat"},
                              HttpHeader{"Sec-WebSocket-Protocol", "soap, wamp"},
                              HttpHeader{"sec-websocket-protocol", "chat.v2"}};
  EXPECT_THAT(offered_subprotocols(headers), testing::ElementsAre("soap", "wamp", "chat.v2"));
  EXPECT_TRUE(offers_subprotocol(headers, "wamp"));
  EXPECT_FALSE(offers_subprotocol(headers, "chat"))
      << "neither another field's value nor a part of a name";
  EXPECT_FALSE(offers_subprotocol(headers, "WAMP"));
  EXPECT_FALSE(offers_subprotocol({}, "chat"));
  EXPECT_FALSE(offers_subprotocol(headers, "")) << "no name is never offered";
}

TEST(Subprotocol, ListHoldsTokensAlone) {
  EXPECT_TRUE(is_subprotocol_list("chat"));
  EXPECT_TRUE(is_subprotocol_list("chat ,, soap.v1+json"));
  EXPECT_FALSE(is_subprotocol_list(""));
  EXPECT_FALSE(is_subprotocol_list(" , "));
  EXPECT_FALSE(is_subprotocol_list("chat room"));
  EXPECT_FALSE(is_subprotocol_list("chat, \"soap\""));
  EXPECT_FALSE(is_subprotocol_list("chat; q=1"));
  EXPECT_FALSE(is_subprotocol_list("caf\xc3\xa9"));
}

}  // namespace
}  // namespace holdfast::protocol
