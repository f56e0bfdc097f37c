// Sessions that agreed on permessage-deflate (RFC 7692 6).

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"
#include "protocol/session.h"

namespace holdfast::protocol {
namespace {

using Kind = Event::Kind;

constexpr MaskKey kMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr int kFin = 0x80;
constexpr int kRsv1 = 0x40;
constexpr int kText = 1;
constexpr int kBinary = 2;
constexpr int kContinuation = 0;
constexpr int kPing = 9;
constexpr int kPong = 10;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

struct Told {
  Kind kind;
  std::string payload;
  int code = 0;
  bool operator==(const Told&) const = default;
};
[[maybe_unused]] void PrintTo(const Told& told, std::ostream* out) {
  *out << "{kind " << int(told.kind) << ", " << told.payload.size() << " bytes "
       << testing::PrintToString(told.payload.substr(0, 40)) << ", code " << told.code << "}";
}

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

std::string deflated(std::string_view message) {
  MessageDeflater deflater(Takeover::kKept);  // makes a payload of any message
  return std::string(as_text(*deflater.deflate(as_bytes(message))));
}
// One message in one frame.
std::string message(int opcode, std::string_view text, Role receiver = Role::kServer) {
  return frame(kFin | kRsv1 | opcode, deflated(text), receiver);
}

// A peer's session with what it is lent. One that is at rest is replaced by a fresh one, as a
// server does.
class Receiver {
 public:
  explicit Receiver(Role role = Role::kServer, SessionLimits limits = {},
                    Takeover takeover = Takeover::kNone)
      : inflater_(takeover), role_(role), limits_(limits) {
    limits_.inflater = &inflater_;
    session_.emplace(role_, &limits_);
  }

  std::vector<Told> feed(std::string_view piece) {
    std::vector<std::byte> memory(as_bytes(piece).begin(), as_bytes(piece).end());
    MutableBytes input = memory;
    std::vector<Told> told;
    while (auto event = session_->next(input)) {
      told.push_back({event->kind, std::string(as_text(event->payload)), event->code});
    }
    EXPECT_TRUE(input.empty());
    over_ = over_ || (!told.empty() && told.back().kind >= Kind::kClose);
    if (session_->at_rest()) {
      EXPECT_EQ(session_->owned_bytes(), 0u);
      if (!over_) session_.emplace(role_, &limits_);
    }
    return told;
  }

 private:
  MessageInflater inflater_;
  Role role_;
  SessionLimits limits_;
  std::optional<Session> session_;
  bool over_ = false;
};

// The events of `wire`, which must be the same whole, for every split in two and byte by byte.
std::vector<Told> events_of(std::string_view wire, Role role = Role::kServer,
                            SessionLimits limits = {}, Takeover takeover = Takeover::kNone) {
  const std::vector<Told> whole = Receiver(role, limits, takeover).feed(wire);
  for (std::size_t split = 0; split <= wire.size(); ++split) {
    Receiver receiver(role, limits, takeover);
    std::vector<Told> told = receiver.feed(wire.substr(0, split));
    const std::vector<Told> rest = receiver.feed(wire.substr(split));
    told.insert(told.end(), rest.begin(), rest.end());
    EXPECT_EQ(told, whole) << "split at " << split;
  }
  Receiver receiver(role, limits, takeover);
  std::vector<Told> told;
  for (const char c : wire) {
    for (Told& one : receiver.feed({&c, 1})) told.push_back(std::move(one));
  }
  EXPECT_EQ(told, whole) << "byte by byte";
  return whole;
}

void expect_violation(std::string_view wire, CloseCode code, SessionLimits limits = {}) {
  const std::vector<Told> told = events_of(wire, Role::kServer, limits);
  ASSERT_FALSE(told.empty()) << "no event for " << testing::PrintToString(wire);
  EXPECT_EQ(told.back().kind, Kind::kViolation);
  EXPECT_EQ(told.back().code, static_cast<int>(code));
}

// --- RFC 7692 7.2.3, frames and all

TEST(SessionWithDeflate, ReadsTheRfcsHello) {
  EXPECT_EQ(events_of(bytes({0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), Role::kClient),
            (std::vector<Told>{{Kind::kText, "Hello"}}));
}

TEST(SessionWithDeflate, ReadsTheRfcsFragmentedHello) {
  EXPECT_EQ(events_of(bytes({0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00}),
                      Role::kClient),
            (std::vector<Told>{{Kind::kText, "Hello"}}));
}

TEST(SessionWithDeflate, ReadsTheRfcsTwoHellosOfOneWindow) {
  EXPECT_EQ(events_of(bytes({0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00,  //
                             0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00}),
                      Role::kClient, {}, Takeover::kKept),
            (std::vector<Told>{{Kind::kText, "Hello"}, {Kind::kText, "Hello"}}));
}

TEST(SessionWithDeflate, ReadsTheRfcsUncompressedBlockAndTwoBlocks) {
  EXPECT_EQ(events_of(bytes({0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f,
                             0x00}),
                      Role::kClient),
            (std::vector<Told>{{Kind::kText, "Hello"}}));
  EXPECT_EQ(events_of(bytes({0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9,
                             0xc9, 0x07, 0x00}),
                      Role::kClient),
            (std::vector<Told>{{Kind::kText, "Hello"}}));
}

// --- messages

TEST(SessionWithDeflate, TakesCompressedAndPlainMessagesInTurn) {
  EXPECT_EQ(
      events_of(message(kText, "one") + frame(kFin | kText, "two") + message(kBinary, "\xFF\xFE") +
                frame(kFin | kPing, "p") + frame(kFin | kBinary, "\xC0")),
      (std::vector<Told>{{Kind::kText, "one"},
                         {Kind::kText, "two"},
                         {Kind::kBinary, "\xFF\xFE"},
                         {Kind::kPing, "p"},
                         {Kind::kBinary, "\xC0"}}));
}

TEST(SessionWithDeflate, JoinsFragmentsHoweverTheyAreCutAndLetsControlFramesThrough) {
  const std::string text = "fragments of a compressed message, of a compressed message";
  const std::string payload = deflated(text);
  for (std::size_t cut = 0; cut <= payload.size(); ++cut) {
    EXPECT_EQ(events_of(frame(kRsv1 | kText, payload.substr(0, cut)) + frame(kFin | kPing, "?") +
                        frame(kContinuation, "") + frame(kFin | kPong, "") +
                        frame(kFin | kContinuation, payload.substr(cut))),
              (std::vector<Told>{{Kind::kPing, "?"}, {Kind::kPong, ""}, {Kind::kText, text}}))
        << "cut at " << cut;
  }
}

TEST(SessionWithDeflate, TakesEmptyMessagesInBothForms) {
  EXPECT_EQ(
      events_of(frame(kFin | kRsv1 | kText, bytes({0x00})) + frame(kFin | kRsv1 | kBinary, "") +
                frame(kRsv1 | kText, "") + frame(kFin | kContinuation, bytes({0x00}))),
      (std::vector<Told>{{Kind::kText, ""}, {Kind::kBinary, ""}, {Kind::kText, ""}}));
}

TEST(SessionWithDeflate, ServesManyPeersWithOneInflater) {
  MessageInflater inflater;
  const SessionLimits limits{.inflater = &inflater};
  Session first(Role::kServer, &limits);
  Session second(Role::kServer, &limits);
  const std::string one = message(kText, "of the first, " + std::string(200, '1'));
  const std::string two = message(kText, "of the second, " + std::string(200, '2'));
  std::string told;
  for (std::size_t at = 0; at < std::max(one.size(), two.size()); ++at) {
    for (auto [session, wire] : {std::pair(&first, &one), std::pair(&second, &two)}) {
      if (at >= wire->size()) continue;
      std::byte byte{static_cast<unsigned char>((*wire)[at])};
      MutableBytes input(&byte, 1);
      while (auto event = session->next(input)) told += as_text(event->payload).substr(0, 14);
    }
  }
  EXPECT_EQ(told.size(), 28u);
  EXPECT_TRUE(told.find("of the first, ") != std::string::npos);
  EXPECT_TRUE(told.find("of the second,") != std::string::npos);
}

TEST(SessionWithDeflate, ReadsMessagesOfEverySizeFromAPeerThatKeepsItsWindow) {
  MessageDeflater deflater(Takeover::kKept);
  Receiver receiver(Role::kServer, {.message_bytes_max = 1 << 20}, Takeover::kKept);
  std::mt19937 random(1);
  for (std::size_t size = 1; size < 300'000; size = size * 2 + random() % 100) {
    std::string text(size, 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % (size % 20 + 1));
    const std::string payload(as_text(*deflater.deflate(as_bytes(text))));
    const std::size_t cut = random() % payload.size();
    const std::string wire = frame(kRsv1 | kText, payload.substr(0, cut)) +
                             frame(kFin | kContinuation, payload.substr(cut));
    const std::size_t split = random() % wire.size();
    EXPECT_TRUE(receiver.feed(wire.substr(0, split)).empty());
    EXPECT_EQ(receiver.feed(wire.substr(split)), (std::vector<Told>{{Kind::kText, text}})) << size;
  }
}

// --- what is refused

TEST(SessionWithDeflate, RefusesRsv1OnContinuationsAndControlFrames) {
  const std::string payload = deflated("Hello");
  expect_violation(frame(kRsv1 | kText, payload.substr(0, 2)) +
                       frame(kFin | kRsv1 | kContinuation, payload.substr(2)),
                   CloseCode::kProtocolError);
  expect_violation(frame(kText, "He") + frame(kFin | kRsv1 | kContinuation, payload),
                   CloseCode::kProtocolError);
  for (const int opcode : {8, 9, 10}) {
    expect_violation(frame(kFin | kRsv1 | opcode, ""), CloseCode::kProtocolError);
  }
}

TEST(SessionWithDeflate, RefusesTheOtherReservedBitsStill) {
  for (const int reserved : {0x20, 0x10, 0x30, 0x60, 0x50, 0x70}) {
    expect_violation(frame(kFin | reserved | kText, deflated("Hello")), CloseCode::kProtocolError);
  }
}

TEST(SessionWithDeflate, RefusesRsv1WithoutAnAgreement) {
  const SessionLimits limits;
  Session session(Role::kServer, &limits);
  std::string wire = message(kText, "Hello");
  MutableBytes input = std::as_writable_bytes(std::span(wire));
  const auto event = session.next(input);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kViolation);
  EXPECT_EQ(event->code, 1002);
}

TEST(SessionWithDeflate, ChecksUtf8AfterInflating) {
  expect_violation(message(kText, "no text \xC0\xAF"), CloseCode::kInvalidPayload);
  expect_violation(message(kText, "cut \xE2\x82"), CloseCode::kInvalidPayload);
  EXPECT_EQ(events_of(message(kText,
                              "Gr\xC3\xBC\xC3\x9F"
                              "e")),
            (std::vector<Told>{{Kind::kText,
                                "Gr\xC3\xBC\xC3\x9F"
                                "e"}}));
}

TEST(SessionWithDeflate, ChecksUtf8OfAPlainMessageBehindACompressedOne) {
  expect_violation(message(kText, "fine") + frame(kFin | kText, "\xFF"),
                   CloseCode::kInvalidPayload);
  expect_violation(message(kText, "fine") + frame(kText, "\xE2") + frame(kFin | kContinuation, "x"),
                   CloseCode::kInvalidPayload);
}

TEST(SessionWithDeflate, RefusesWhatIsNotDeflateWith1007) {
  expect_violation(frame(kFin | kRsv1 | kBinary, "certainly not"), CloseCode::kInvalidPayload);
  expect_violation(frame(kFin | kRsv1 | kBinary, deflated("Hello, cut short").substr(0, 9)),
                   CloseCode::kInvalidPayload);
}

TEST(SessionWithDeflate, StopsABombAtTheMessageLimit) {
  const SessionLimits limits{.message_bytes_max = 1000};
  EXPECT_EQ(events_of(message(kBinary, std::string(1000, 'x')), Role::kServer, limits),
            (std::vector<Told>{{Kind::kBinary, std::string(1000, 'x')}}));
  expect_violation(message(kBinary, std::string(1001, 'x')), CloseCode::kMessageTooBig, limits);
  expect_violation(message(kBinary, std::string(100'000, 'x')), CloseCode::kMessageTooBig, limits);
}

TEST(SessionWithDeflate, RefusesACompressedFrameThatNoMessageOfTheLimitNeeds) {
  const SessionLimits limits{.message_bytes_max = 1000};
  expect_violation(frame(kFin | kRsv1 | kBinary, std::string(1205, 'x')), CloseCode::kMessageTooBig,
                   limits);
  expect_violation(frame(kRsv1 | kBinary, std::string(800, 'x')) +
                       frame(kFin | kContinuation, std::string(800, 'x')),
                   CloseCode::kMessageTooBig, limits);
  expect_violation(frame(kFin | kBinary, std::string(1001, 'x')), CloseCode::kMessageTooBig,
                   limits);
}

TEST(SessionWithDeflate, TakesAnIncompressibleMessageOfTheFullSize) {
  const SessionLimits limits{.message_bytes_max = 3000};
  std::mt19937 random(3);
  std::string noise(3000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  ASSERT_GT(deflated(noise).size(), 3000u);
  Receiver receiver(Role::kServer, limits);
  EXPECT_EQ(receiver.feed(message(kBinary, noise)), (std::vector<Told>{{Kind::kBinary, noise}}));
}

}  // namespace
}  // namespace holdfast::protocol
