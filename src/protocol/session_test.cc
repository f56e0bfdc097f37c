#include "protocol/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::protocol {

// An event with its own copy of everything, to compare and to print.
struct Told {
  Event::Kind kind;
  std::string payload;
  int code = 0;
  std::string reason = {};
  bool operator==(const Told&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << "{kind " << int(told.kind) << ", " << told.payload.size() << " bytes "
             << testing::PrintToString(told.payload.substr(0, 40)) << ", code " << told.code << ", "
             << told.reason << "}";
}

namespace {

using Kind = Event::Kind;
using ToldEvents = std::vector<Told>;

constexpr MaskKey kMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr SessionLimits kLimits;

// One frame as a client (masked) or a server sends it, right or wrong: first byte and payload as
// given.
std::string frame(int first_byte, std::string_view payload, Role receiver = Role::kServer) {
  std::byte header[kFrameHeaderBytesMax];
  const bool masked = receiver == Role::kServer;
  const std::size_t size =
      write_frame_header(header, Opcode::kBinary, true, payload.size(), masked ? &kMask : nullptr);
  header[0] = static_cast<std::byte>(first_byte);
  std::string text(payload);
  if (masked) apply_mask(std::as_writable_bytes(std::span(text)), kMask);
  return std::string(as_text({header, size})) + text;
}
std::string text(std::string_view payload) { return frame(0x81, payload); }
std::string close(int code, std::string_view reason = "") {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  return frame(0x88, payload.append(reason));
}

// Feeds `pieces` one after the other. Each lies in memory of its own size, freed at once, so that a
// sanitizer sees a session that looks past it or keeps a view of it.
ToldEvents feed(Session& session, std::vector<std::string> pieces) {
  ToldEvents told;
  for (const std::string& piece : pieces) {
    std::vector<std::byte> memory(as_bytes(piece).begin(), as_bytes(piece).end());
    MutableBytes input = memory;
    while (auto event = session.next(input)) {
      told.push_back({event->kind, std::string(as_text(event->payload)), event->code,
                      std::string(event->reason)});
    }
    EXPECT_TRUE(input.empty());
  }
  return told;
}

ToldEvents feed_whole(std::string_view wire, Role role, const SessionLimits& limits) {
  Session session(role, &limits);
  return feed(session, {std::string(wire)});
}

// The events of `wire`, which must be the same for every split in two and byte by byte.
ToldEvents events_of(std::string_view wire, Role role = Role::kServer,
                     const SessionLimits& limits = kLimits) {
  const ToldEvents expected = feed_whole(wire, role, limits);
  for (std::size_t split = 0; split <= wire.size(); ++split) {
    Session session(role, &limits);
    EXPECT_EQ(feed(session, {std::string(wire.substr(0, split)), std::string(wire.substr(split))}),
              expected)
        << "split at " << split;
  }
  std::vector<std::string> bytes;
  for (char c : wire) bytes.emplace_back(1, c);
  Session session(role, &limits);
  EXPECT_EQ(feed(session, bytes), expected) << "byte by byte";
  return expected;
}

void expect_violation(std::string_view wire, CloseCode code, Role role = Role::kServer,
                      const SessionLimits& limits = kLimits) {
  const ToldEvents told = events_of(wire, role, limits);
  ASSERT_FALSE(told.empty()) << "no event for " << testing::PrintToString(wire);
  EXPECT_EQ(told.back().kind, Kind::kViolation);
  EXPECT_EQ(told.back().code, static_cast<int>(code)) << told.back().reason;
  EXPECT_FALSE(told.back().reason.empty());
}

// --- RFC 6455 5.7

TEST(Session, ReadsTheRfcsUnmaskedHello) {
  EXPECT_EQ(events_of("\x81\x05\x48\x65\x6c\x6c\x6f", Role::kClient),
            (ToldEvents{{Kind::kText, "Hello"}}));
}

TEST(Session, ReadsTheRfcsMaskedHello) {
  EXPECT_EQ(events_of("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
            (ToldEvents{{Kind::kText, "Hello"}}));
}

TEST(Session, ReadsTheRfcsFragmentedHello) {
  const std::string wire = std::string("\x01\x03Hel", 5) + "\x80\x02lo";
  EXPECT_EQ(events_of(wire, Role::kClient), (ToldEvents{{Kind::kText, "Hello"}}));
}

TEST(Session, ReadsTheRfcsPingAndMaskedPong) {
  EXPECT_EQ(events_of("\x89\x05Hello", Role::kClient), (ToldEvents{{Kind::kPing, "Hello"}}));
  EXPECT_EQ(events_of("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
            (ToldEvents{{Kind::kPong, "Hello"}}));
}

TEST(Session, ReadsAllThreeFormsOfLengthAtTheirBorders) {
  SessionLimits limits{.message_bytes_max = 100'000};
  for (std::size_t size : {0, 1, 125, 126, 127, 255, 256, 65'535, 65'536}) {
    const std::string payload(size, 'b');
    for (Role role : {Role::kServer, Role::kClient}) {
      const std::string wire = frame(0x82, payload, role);
      const ToldEvents expected{{Kind::kBinary, payload}};
      if (size < 1000) {
        EXPECT_EQ(events_of(wire, role, limits), expected);
        continue;
      }
      EXPECT_EQ(feed_whole(wire, role, limits), expected);
      for (std::size_t split : {1ul, 2ul, 3ul, 9ul, 10ul, 13ul, 14ul, 15ul, wire.size() - 1}) {
        Session session(role, &limits);
        EXPECT_EQ(feed(session, {wire.substr(0, split), wire.substr(split)}), expected) << split;
      }
    }
  }
}

// --- messages

TEST(Session, TellsSeveralFramesOfOneInputInTheirOrder) {
  EXPECT_EQ(
      events_of(text("one") + frame(0x8A, "") + frame(0x82, "two") + frame(0x89, "p")),
      (ToldEvents{
          {Kind::kText, "one"}, {Kind::kPong, ""}, {Kind::kBinary, "two"}, {Kind::kPing, "p"}}));
}

TEST(Session, TakesControlFramesBetweenFragments) {
  EXPECT_EQ(events_of(frame(0x01, "a") + frame(0x89, "ping") + frame(0x00, "b") +
                      frame(0x8A, "pong") + frame(0x80, "c") + text("next")),
            (ToldEvents{{Kind::kPing, "ping"},
                        {Kind::kPong, "pong"},
                        {Kind::kText, "abc"},
                        {Kind::kText, "next"}}));
}

TEST(Session, TakesEmptyFragmentsAndEmptyMessages) {
  EXPECT_EQ(events_of(frame(0x01, "") + frame(0x00, "") + frame(0x80, "")),
            (ToldEvents{{Kind::kText, ""}}));
  EXPECT_EQ(events_of(frame(0x02, "") + frame(0x89, "p") + frame(0x80, "x")),
            (ToldEvents{{Kind::kPing, "p"}, {Kind::kBinary, "x"}}));
  EXPECT_EQ(events_of(text("")), (ToldEvents{{Kind::kText, ""}}));
}

TEST(Session, DeliversAWholeMessageWithoutCopyingIt) {
  Session session(Role::kServer, &kLimits);
  std::string wire = text("here it lies") + frame(0x82, std::string(1000, 'b'));
  MutableBytes input = std::as_writable_bytes(std::span(wire));
  const std::byte* const begin = input.data();
  auto event = session.next(input);
  EXPECT_EQ(event->payload.data(), begin + 6);
  event = session.next(input);
  EXPECT_EQ(event->payload.data() + event->payload.size(), begin + wire.size());
  EXPECT_EQ(session.owned_bytes(), 0u);
}

TEST(Session, OwnsNoMoreThanTwiceWhatArrivedOfAnAnnouncedMessage) {
  const SessionLimits limits{.message_bytes_max = 16 << 20};
  Session session(Role::kServer, &limits);
  const std::string wire = frame(0x82, std::string(16 << 20, 'b'));
  feed(session, {wire.substr(0, 1000)});
  EXPECT_LE(session.owned_bytes(), 2000u);
  EXPECT_FALSE(session.at_rest());
  feed(session, {wire.substr(1000, 100'000)});
  EXPECT_LE(session.owned_bytes(), 202'000u);
}

TEST(Session, OwnsNoMoreThanTheMessageWhenItsEndIsKnown) {
  Session session(Role::kServer, &kLimits);
  const std::string wire = frame(0x82, std::string(1000, 'b'));
  feed(session, {wire.substr(0, 700), wire.substr(700, 100)});
  EXPECT_EQ(session.owned_bytes(), 1000u);
}

TEST(Session, FreesAGatheredMessageAfterItsDelivery) {
  Session session(Role::kServer, &kLimits);
  EXPECT_EQ(feed(session, {frame(0x01, "ga"), frame(0x80, "thered")}).size(), 1u);
  EXPECT_TRUE(session.at_rest());
  EXPECT_EQ(session.owned_bytes(), 0u);
}

TEST(Session, CarriesSixteenMebibytesInPieces) {
  const SessionLimits limits{.message_bytes_max = 16 << 20};
  std::string payload(16 << 20, ' ');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>('a' + i % 23);
  const std::string wire = text(payload);
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < wire.size(); at += 65'537)
    pieces.push_back(wire.substr(at, 65'537));
  Session session(Role::kServer, &limits);
  const ToldEvents told = feed(session, pieces);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].payload == payload);
}

TEST(Session, Carries65536Fragments) {
  const SessionLimits limits{.message_bytes_max = 16 << 20, .fragments_max = 65'536};
  std::string wire = frame(0x02, "x");
  for (int i = 0; i < 65'534; ++i) wire += frame(0x00, "y");
  const ToldEvents told = feed_whole(wire + frame(0x80, "z"), Role::kServer, limits);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].payload, "x" + std::string(65'534, 'y') + "z");
}

// --- rest: what an idle peer costs

TEST(Session, IsAtRestBetweenMessagesAndOnlyThere) {
  Session session(Role::kServer, &kLimits);
  EXPECT_TRUE(session.at_rest());
  const std::string wire = frame(0x01, "a") + frame(0x89, "p") + frame(0x80, "b");
  for (std::size_t at = 0; at < wire.size(); ++at) {
    feed(session, {wire.substr(at, 1)});
    EXPECT_EQ(session.at_rest(), at + 1 == wire.size()) << "after byte " << at;
  }
}

TEST(Session, IsAtRestAgainAfterTheSixBytesOfAPong) {
  Session session(Role::kServer, &kLimits);
  feed(session, {frame(0x8A, "")});
  EXPECT_TRUE(session.at_rest());
  EXPECT_EQ(session.owned_bytes(), 0u);
}

TEST(Session, KeepsItsPlaceWhenItIsMoved) {
  Session session(Role::kServer, &kLimits);
  const std::string wire = frame(0x01, "mo") + frame(0x80, "ved");
  feed(session, {wire.substr(0, wire.size() - 2)});
  Session other = std::move(session);
  EXPECT_EQ(feed(other, {wire.substr(wire.size() - 2)}), (ToldEvents{{Kind::kText, "moved"}}));
}

TEST(Session, LeavesAMessagesTextAloneWhenAPingIsGatheredBehindIt) {
  Session session(Role::kServer, &kLimits);
  const std::string ping = frame(0x89, "0123456789");
  const ToldEvents told =
      feed(session, {frame(0x01, "ab"), ping.substr(0, 9), ping.substr(9), frame(0x80, "cd")});
  EXPECT_EQ(told, (ToldEvents{{Kind::kPing, "0123456789"}, {Kind::kText, "abcd"}}));
}

// --- close

TEST(Session, TellsThePeersCodeAndReason) {
  const ToldEvents told = events_of(close(1001, "so long"));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, Kind::kClose);
  EXPECT_EQ(told[0].code, 1001);
  EXPECT_EQ(told[0].reason, "so long");
}

TEST(Session, TellsACloseWithoutCodeAs1005) {
  EXPECT_EQ(events_of(frame(0x88, "")), (ToldEvents{{Kind::kClose, "", 1005, ""}}));
}

TEST(Session, ReadsNothingAfterAClose) {
  const ToldEvents told = events_of(close(1000) + text("too late") + frame(0xFF, ""));
  EXPECT_EQ(told.size(), 1u);
}

TEST(Session, ClosesInTheMiddleOfAMessage) {
  const ToldEvents told =
      events_of(frame(0x01, "half \xE2\x82") + close(1000, "enough") + frame(0x80, "rest"));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, "enough");
}

TEST(Session, RefusesACloseOfOneByteOrAForbiddenCode) {
  expect_violation(frame(0x88, "x"), CloseCode::kProtocolError);
  for (int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    expect_violation(close(code, "why"), CloseCode::kProtocolError);
  }
}

TEST(Session, RefusesACloseReasonThatIsNotUtf8) {
  expect_violation(close(1000, "\xFF"), CloseCode::kInvalidPayload);
  expect_violation(close(1000, "cut \xE2\x82"), CloseCode::kInvalidPayload);
}

// --- violations

TEST(Session, RefusesReservedBitsAndOpcodes) {
  for (int bits : {0x40, 0x20, 0x10}) {
    expect_violation(frame(0x81 | bits, "x"), CloseCode::kProtocolError);
    expect_violation(frame(0x8A | bits, ""), CloseCode::kProtocolError);
  }
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    expect_violation(frame(0x80 | opcode, ""), CloseCode::kProtocolError);
  }
}

TEST(Session, RefusesTheWrongMaskingForItsRole) {
  expect_violation(frame(0x81, "unmasked", Role::kClient), CloseCode::kProtocolError,
                   Role::kServer);
  expect_violation(frame(0x81, "masked", Role::kServer), CloseCode::kProtocolError, Role::kClient);
  expect_violation(std::string("\x8A\x00", 2), CloseCode::kProtocolError, Role::kServer);
}

TEST(Session, RefusesFragmentedOrLongControlFrames) {
  for (int opcode : {8, 9, 10}) {
    expect_violation(frame(opcode, ""), CloseCode::kProtocolError);
    expect_violation(frame(0x80 | opcode, std::string(126, 'x')), CloseCode::kProtocolError);
  }
}

TEST(Session, RefusesFragmentsOutOfOrder) {
  expect_violation(frame(0x80, "of nothing"), CloseCode::kProtocolError);
  expect_violation(frame(0x00, "of nothing"), CloseCode::kProtocolError);
  expect_violation(frame(0x01, "one") + frame(0x81, "other"), CloseCode::kProtocolError);
  expect_violation(text("whole") + frame(0x80, "late"), CloseCode::kProtocolError);
}

TEST(Session, RefusesALengthThatIsNotInItsShortestForm) {
  const SessionLimits limits{.message_bytes_max = 1 << 20};
  const std::string mask = "\x01\x02\x03\x04";
  expect_violation(std::string("\x82\xFE\x00\x7D", 4) + mask, CloseCode::kProtocolError,
                   Role::kServer, limits);
  expect_violation(std::string("\x82\xFF\0\0\0\0\0\0\xFF\xFF", 10) + mask,
                   CloseCode::kProtocolError, Role::kServer, limits);
  expect_violation(std::string("\x82\xFF\x80\0\0\0\0\0\0\0", 10) + mask, CloseCode::kProtocolError,
                   Role::kServer, limits);
}

TEST(Session, RefusesATooBigMessageAsSoonAsItsLengthIsThere) {
  const SessionLimits limits{.message_bytes_max = 100};
  EXPECT_EQ(events_of(text(std::string(100, 'x')), Role::kServer, limits).at(0).kind, Kind::kText);
  expect_violation(text(std::string(101, 'x')), CloseCode::kMessageTooBig, Role::kServer, limits);
  expect_violation(std::string("\x82\xFE\xFF\xFF", 4), CloseCode::kMessageTooBig, Role::kServer,
                   limits);
  expect_violation(std::string("\x82\xFF\0\0\0\x01\0\0\0\0", 10), CloseCode::kMessageTooBig,
                   Role::kServer,
                   limits);  // 4 GiB: does not wrap around
  expect_violation(std::string("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10),
                   CloseCode::kMessageTooBig);
}

TEST(Session, CountsTheFragmentsOfAMessageTogether) {
  const SessionLimits limits{.message_bytes_max = 100, .fragments_max = 3};
  const std::string half(50, 'x');
  EXPECT_EQ(
      events_of(frame(0x02, half) + frame(0x80, half), Role::kServer, limits).at(0).payload.size(),
      100u);
  expect_violation(frame(0x02, half) + frame(0x80, half + "x"), CloseCode::kMessageTooBig,
                   Role::kServer, limits);
  EXPECT_EQ(
      events_of(frame(0x02, "") + frame(0x00, "") + frame(0x80, ""), Role::kServer, limits).size(),
      1u);
  expect_violation(frame(0x02, "") + frame(0x00, "") + frame(0x00, "") + frame(0x00, ""),
                   CloseCode::kPolicyViolation, Role::kServer, limits);
}

TEST(Session, LetsControlFramesThroughWhereMessagesAreForbidden) {
  const SessionLimits limits{.message_bytes_max = 0};
  EXPECT_EQ(events_of(frame(0x8A, "pong") + text(""), Role::kServer, limits).size(), 2u);
  expect_violation(text("x"), CloseCode::kMessageTooBig, Role::kServer, limits);
}

TEST(Session, RefusesTextThatIsNotUtf8) {
  expect_violation(text("\xC0\xAF"), CloseCode::kInvalidPayload);
  expect_violation(text("cut \xE2\x82"), CloseCode::kInvalidPayload);
  expect_violation(text(std::string(300, 'x') + "\xED\xA0\x80"), CloseCode::kInvalidPayload);
  expect_violation(frame(0x01, "\xE2") + frame(0x80, "x"), CloseCode::kInvalidPayload);
  expect_violation(frame(0x01, "\xE2") + frame(0x80, ""), CloseCode::kInvalidPayload);
}

TEST(Session, TakesACharacterThatFragmentsCutInPieces) {
  EXPECT_EQ(events_of(frame(0x01, "\xE2") + frame(0x00, "\x82") + frame(0x80, "\xAC")),
            (ToldEvents{{Kind::kText, "\xE2\x82\xAC"}}));
  EXPECT_EQ(events_of(frame(0x02, "\xE2") + frame(0x80, "\xFF")),
            (ToldEvents{{Kind::kBinary, "\xE2\xFF"}}));
}

TEST(Session, FailsBadTextInTheMiddleOfAFrame) {
  Session session(Role::kServer, &kLimits);
  const std::string wire = text("good \xF4\x90" + std::string(1000, 'x'));
  const std::size_t bad = 8 + 5 + 2;  // header, "good ", and the second byte that shows it
  EXPECT_EQ(feed(session, {wire.substr(0, bad - 1)}), ToldEvents{});
  const ToldEvents told = feed(session, {wire.substr(bad - 1, 1)});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].code, 1007);
}

TEST(Session, ReadsNothingAfterAViolationAndOwnsNothing) {
  Session session(Role::kServer, &kLimits);
  EXPECT_EQ(
      feed(session, {frame(0x01, "begun"), frame(0x83, ""), text("more"), text("and more")}).size(),
      1u);
  EXPECT_TRUE(session.at_rest());
  EXPECT_EQ(session.owned_bytes(), 0u);
  EXPECT_EQ(events_of(text("\xFF") + text("more")).size(), 1u)
      << "also when it stood whole in the input";
}

}  // namespace
}  // namespace holdfast::protocol
