// What the conformance table (conformance_test.cc) cannot say: what a session owns, when it is at
// rest, and the like.

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

// --- messages

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

TEST(Session, ReadsNothingAfterAClose) {
  const ToldEvents told = events_of(close(1000) + text("too late") + frame(0xFF, ""));
  EXPECT_EQ(told.size(), 1u);
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
