// The conformance table against the protocol's core: each case whole, byte by byte, and at its
// splits.

#include "protocol/conformance_case.h"
#include "protocol/message_inflater.h"

#include <gtest/gtest.h>

#include <cctype>
#include <ostream>
#include <set>

namespace holdfast::protocol {

void PrintTo(const ConformanceCase& one, std::ostream* out) {
  *out << one.place << " " << one.name;
}

namespace {

// Longer wires are not split at every byte, but around the borders of their frames.
constexpr std::size_t kEverySplitMax = 700;
constexpr std::size_t kByteByByteMax = 200'000;
constexpr std::size_t kSplitsMax = 600;

SessionLimits limits_of(const ConformanceCase& one) {
  if (one.limits == "small") return {.message_bytes_max = 100, .fragments_max = 3};
  if (one.limits == "large") return {.message_bytes_max = 16 << 20, .fragments_max = 65'536};
  EXPECT_EQ(one.limits, "default") << one.place;
  return {};
}

// What a session told, in the words of the table.
struct Told {
  std::string kind;
  std::string payload = {};
  int code = 0;
  bool operator==(const Told&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << told.kind << " " << told.code << " (" << told.payload.size() << " bytes) "
             << testing::PrintToString(told.payload.substr(0, 60));
}
using ToldEvents = std::vector<Told>;

Told told_of(const Event& event) {
  using Kind = Event::Kind;
  switch (event.kind) {
    case Kind::kText:
      return {"text", std::string(as_text(event.payload))};
    case Kind::kBinary:
      return {"binary", std::string(as_text(event.payload))};
    case Kind::kPing:
      return {"ping", std::string(as_text(event.payload))};
    case Kind::kPong:
      return {"pong", std::string(as_text(event.payload))};
    case Kind::kClose:
      return {"close", std::string(event.reason), event.code};
    case Kind::kViolation:
      EXPECT_FALSE(event.reason.empty()) << "a violation says what it is";
      return {"fail", "", event.code};
  }
  return {"nothing that there is"};
}

ToldEvents expected_of(const ConformanceCase& one) {
  ToldEvents expected;
  for (const std::string& tell : one.tells) {
    CaseLine line(tell);
    Told told{std::string(line.word())};
    if (told.kind == "close" || told.kind == "fail") told.code = static_cast<int>(line.number());
    told.payload = line.payload();
    expected.push_back(std::move(told));
  }
  return expected;
}

class Conformance : public testing::TestWithParam<ConformanceCase> {
 protected:
  void SetUp() override {
    for (const std::string& send : GetParam().sends) {
      for (const std::string& frame : frames_of_case(GetParam().role, send)) {
        borders_.push_back(wire_.size());
        wire_ += frame;
      }
    }
    expected_ = expected_of(GetParam());
  }

  // Feeds the wire cut at `cuts` (ascending). Each piece lies in memory of its own size, freed at
  // once, so that a sanitizer sees a session that looks past it or keeps a view of it.
  void expect_in_pieces(const std::vector<std::size_t>& cuts, std::string_view how) {
    SessionLimits limits = limits_of(GetParam());
    MessageInflater inflater(GetParam().deflate == "takeover" ? Takeover::kKept : Takeover::kNone);
    if (!GetParam().deflate.empty()) limits.inflater = &inflater;
    Session session(GetParam().role, &limits);
    ToldEvents told;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
      const std::size_t end = i < cuts.size() ? cuts[i] : wire_.size();
      std::vector<std::byte> memory(end - begin);
      std::copy_n(as_bytes(wire_).begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                  memory.begin());
      begin = end;
      MutableBytes input = memory;
      while (const auto event = session.next(input)) told.push_back(told_of(*event));
      ASSERT_TRUE(input.empty());
    }
    ASSERT_TRUE(told == expected_)
        << GetParam().place << " " << how << ": told " << testing::PrintToString(told) << ", want "
        << testing::PrintToString(expected_);
    ASSERT_EQ(session.at_rest(), !GetParam().unfinished) << how;
    if (session.at_rest() && cuts.empty()) {
      ASSERT_EQ(session.owned_bytes(), 0u);
    }
  }

  void expect_in_pieces_of(std::size_t size) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = size; at < wire_.size(); at += size) cuts.push_back(at);
    expect_in_pieces(cuts, "in pieces of " + std::to_string(size));
  }

  std::set<std::size_t> splits() const {
    std::set<std::size_t> result;
    if (wire_.size() <= kEverySplitMax) {
      for (std::size_t at = 1; at < wire_.size(); ++at) result.insert(at);
      return result;
    }
    for (const std::size_t border : borders_) {
      for (std::size_t at = border; at < border + kFrameHeaderBytesMax + 2; ++at) {
        if (at > 0 && at < wire_.size()) result.insert(at);
      }
      if (result.size() > kSplitsMax || wire_.size() * result.size() > (std::size_t{24} << 20))
        break;
    }
    result.insert(wire_.size() - 1);
    return result;
  }

  std::string wire_;
  std::vector<std::size_t> borders_;  // where each frame begins
  ToldEvents expected_;
};

TEST_P(Conformance, HoldsWhole) { expect_in_pieces({}, "whole"); }

TEST_P(Conformance, HoldsByteByByte) {
  if (wire_.size() <= kByteByByteMax) expect_in_pieces_of(1);
}

TEST_P(Conformance, HoldsAtEverySplit) {
  for (const std::size_t split : splits()) {
    expect_in_pieces({split}, "split at " + std::to_string(split));
    if (HasFatalFailure()) return;
  }
}

TEST_P(Conformance, HoldsInPieces) {
  if (GetParam().chop_bytes > 0) expect_in_pieces_of(GetParam().chop_bytes);
  if (wire_.size() > kByteByByteMax) expect_in_pieces_of(65'537);
}

std::string test_name(const testing::TestParamInfo<ConformanceCase>& info) {
  std::string name = info.param.place.substr(0, info.param.place.find('.')) + "_";
  bool begins = true;
  for (const char c : info.param.name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      begins = true;
      continue;
    }
    name += static_cast<char>(begins ? std::toupper(static_cast<unsigned char>(c)) : c);
    begins = false;
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Rfc, Conformance,
                         testing::ValuesIn(read_conformance_cases(HOLDFAST_CONFORMANCE_CASES)),
                         test_name);

TEST(ConformanceTable, HasEveryCaseOnce) {
  const auto cases = read_conformance_cases(HOLDFAST_CONFORMANCE_CASES);
  EXPECT_GE(cases.size(), 400u);
  for (const ConformanceCase& one : cases) {
    EXPECT_FALSE(one.sends.empty()) << one.place;
    EXPECT_FALSE(one.tells.empty() && !one.unfinished) << one.place;
    EXPECT_FALSE(one.section.empty()) << one.place;
  }
}

}  // namespace
}  // namespace holdfast::protocol
