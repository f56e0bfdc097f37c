#include "protocol/deflate_terms.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

constexpr DeflatePolicy kLent;  // no takeover
constexpr DeflatePolicy kKept{.takeover = true, .window_bits = 12};

std::string text_of(const DeflateTerms& terms) {
  std::array<char, kDeflateTermsBytesMax> out;
  return {out.data(), write_deflate_terms(out.data(), terms)};
}

// The server's answer to an offer; "declined".
std::string answer(std::vector<HttpHeader> headers, const DeflatePolicy& policy) {
  const auto terms = accept_deflate(headers, policy);
  return terms ? text_of(*terms) : "declined";
}
std::string answer(std::string_view offer, const DeflatePolicy& policy = kLent) {
  return answer(std::vector<HttpHeader>{{"Sec-WebSocket-Extensions", offer}}, policy);
}

const std::string kNoTakeover =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(DeflateTerms, WithoutTakeoverBothSidesForgetWhateverIsOffered) {
  EXPECT_EQ(answer("permessage-deflate"), kNoTakeover);
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits"), kNoTakeover);
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=9"), kNoTakeover);
  EXPECT_EQ(answer("permessage-deflate; client_no_context_takeover; server_no_context_takeover"),
            kNoTakeover);
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=10"),
            kNoTakeover + "; server_max_window_bits=10");
}

TEST(DeflateTerms, TakeoverIsKeptWhereTheOfferAllowsIt) {
  EXPECT_EQ(answer("permessage-deflate", kKept), "permessage-deflate");
  EXPECT_EQ(answer("permessage-deflate; server_no_context_takeover", kKept),
            "permessage-deflate; server_no_context_takeover");
  EXPECT_EQ(answer("permessage-deflate; client_no_context_takeover", kKept),
            "permessage-deflate; client_no_context_takeover");
}

TEST(DeflateTerms, AKeptWindowIsNoLargerThanThePolicysWhereTheOfferLeavesAChoice) {
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", kKept),
            "permessage-deflate; client_max_window_bits=12");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=15", kKept),
            "permessage-deflate; client_max_window_bits=12");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=10", kKept),
            "permessage-deflate; client_max_window_bits=10");
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=15", kKept),
            "permessage-deflate; server_max_window_bits=12");
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=9", kKept),
            "permessage-deflate; server_max_window_bits=9");
}

TEST(DeflateTerms, EveryWindowOfTheRfcIsTaken) {
  for (int bits = 8; bits <= 15; ++bits) {
    const std::string said = "server_max_window_bits=" + std::to_string(bits);
    EXPECT_EQ(answer("permessage-deflate; " + said), kNoTakeover + "; " + said);
  }
}

TEST(DeflateTerms, AnOfferWithAWrongParameterIsDeclined) {
  for (const char* parameter :
       {"unknown", "server_max_window_bits", "server_max_window_bits=7",
        "server_max_window_bits=16", "server_max_window_bits=08", "server_max_window_bits=+9",
        "server_max_window_bits=0x9", "server_max_window_bits=999999999999",
        "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=010",
        "client_max_window_bits=ten", "server_no_context_takeover=1",
        "client_no_context_takeover=true", "client_max_window_bits; client_max_window_bits",
        "server_max_window_bits=9; server_max_window_bits=9",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover"}) {
    EXPECT_EQ(answer("permessage-deflate; " + std::string(parameter)), "declined") << parameter;
  }
}

TEST(DeflateTerms, TheFirstOfferThatCanBeKeptIsTaken) {
  EXPECT_EQ(answer("permessage-deflate; unknown, permessage-deflate; server_max_window_bits=11, "
                   "permessage-deflate"),
            kNoTakeover + "; server_max_window_bits=11");
  EXPECT_EQ(answer("permessage-bzip2, x; y=1, permessage-deflate"), kNoTakeover);
  EXPECT_EQ(answer({{"Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits"},
                    {"Host", "x"},
                    {"sec-websocket-extensions",
                     "mux, permessage-deflate; "
                     "server_max_window_bits=\"14\""}},
                   kLent),
            kNoTakeover + "; server_max_window_bits=14");
}

TEST(DeflateTerms, WithoutAnOfferThereIsNoAnswer) {
  EXPECT_EQ(answer("permessage-foo; x"), "declined");
  EXPECT_EQ(answer("x-webkit-deflate-frame"), "declined");
  EXPECT_EQ(answer({{"Host", "x"}}, kLent), "declined");
}

// --- client

std::string read(std::string_view answer, const DeflateTerms& offer) {
  const std::vector<HttpHeader> headers{{"Sec-WebSocket-Extensions", answer}};
  const DeflateAnswer result = read_deflate_answer(headers, offer);
  if (!result.wrong.empty()) return "wrong";
  return result.terms ? text_of(*result.terms) : "declined";
}

TEST(DeflateTerms, AClientsOfferSaysThatTheServerMayChooseItsWindow) {
  EXPECT_EQ(text_of({.client_max_window_bits = kAnyWindowBits}),
            "permessage-deflate; client_max_window_bits");
}

TEST(DeflateTerms, AClientTakesAnAnswerThatKeepsItsOffer) {
  EXPECT_EQ(read("permessage-deflate", {}), "permessage-deflate");
  EXPECT_EQ(read("permessage-deflate; server_max_window_bits=9; client_no_context_takeover", {}),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9")
      << "a server may say more than was offered";
  const DeflateTerms offer{.server_no_context_takeover = true,
                           .server_max_window_bits = 10,
                           .client_max_window_bits = kAnyWindowBits};
  EXPECT_EQ(read("permessage-deflate; server_no_context_takeover; server_max_window_bits=8; "
                 "client_max_window_bits=8",
                 offer),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; "
            "client_max_window_bits=8");
}

TEST(DeflateTerms, AClientFailsAnAnswerThatBreaksItsOffer) {
  EXPECT_EQ(read("permessage-deflate; client_max_window_bits=10", {}), "wrong");
  EXPECT_EQ(read("permessage-deflate; client_max_window_bits",
                 {.client_max_window_bits = kAnyWindowBits}),
            "wrong");
  EXPECT_EQ(read("permessage-deflate; client_max_window_bits=11", {.client_max_window_bits = 10}),
            "wrong");
  EXPECT_EQ(read("permessage-deflate", {.server_no_context_takeover = true}), "wrong");
  EXPECT_EQ(read("permessage-deflate", {.server_max_window_bits = 10}), "wrong");
  EXPECT_EQ(read("permessage-deflate; server_max_window_bits=11", {.server_max_window_bits = 10}),
            "wrong");
}

TEST(DeflateTerms, AClientFailsAnAnswerThatIsNotRight) {
  EXPECT_EQ(read("permessage-deflate; unknown", {}), "wrong");
  EXPECT_EQ(read("permessage-deflate, permessage-deflate", {}), "wrong");
  EXPECT_EQ(read("mux", {}), "wrong");
  EXPECT_EQ(read("permessage-deflate;", {}), "wrong");
  EXPECT_EQ(read_deflate_answer({}, {}).terms, std::nullopt);
  EXPECT_EQ(read_deflate_answer({}, {}).wrong, "");
}

}  // namespace
}  // namespace holdfast::protocol
