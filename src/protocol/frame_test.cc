#include "protocol/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "protocol/close_code.h"

namespace holdfast::protocol {
namespace {

constexpr MaskKey kRfcMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

std::vector<int> header_of(Opcode opcode, bool final, std::uint64_t payload_bytes,
                           const MaskKey* mask = nullptr, bool rsv1 = false) {
  std::byte out[kFrameHeaderBytesMax];
  const std::size_t size = write_frame_header(out, opcode, final, payload_bytes, mask, rsv1);
  EXPECT_EQ(size, frame_header_bytes(payload_bytes, mask != nullptr));
  std::vector<int> bytes;
  std::transform(out, out + size, std::back_inserter(bytes), [](std::byte b) { return int(b); });
  return bytes;
}

using Header = std::vector<int>;

TEST(FrameHeader, IsThatOfTheRfcsExamples) {  // RFC 6455 5.7
  EXPECT_EQ(header_of(Opcode::kText, true, 5), (Header{0x81, 0x05}));
  EXPECT_EQ(header_of(Opcode::kText, true, 5, &kRfcMask),
            (Header{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d}));
  EXPECT_EQ(header_of(Opcode::kText, false, 3), (Header{0x01, 0x03}));
  EXPECT_EQ(header_of(Opcode::kContinuation, true, 2), (Header{0x80, 0x02}));
  EXPECT_EQ(header_of(Opcode::kBinary, true, 256), (Header{0x82, 0x7E, 0x01, 0x00}));
  EXPECT_EQ(header_of(Opcode::kBinary, true, 65536), (Header{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(FrameHeader, TakesTheShortestLengthAtEachBorder) {
  EXPECT_EQ(header_of(Opcode::kBinary, true, 125), (Header{0x82, 125}));
  EXPECT_EQ(header_of(Opcode::kBinary, true, 126), (Header{0x82, 126, 0, 126}));
  EXPECT_EQ(header_of(Opcode::kBinary, true, 65535), (Header{0x82, 126, 0xFF, 0xFF}));
  EXPECT_EQ(header_of(Opcode::kBinary, true, 0x0102030405060708),
            (Header{0x82, 127, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(FrameHeader, SetsTheBitOfADeflatedMessage) {
  EXPECT_EQ(header_of(Opcode::kText, true, 1, nullptr, true), (Header{0xC1, 0x01}));
}

TEST(FrameHeader, OfTheStaticPingAndPongIsWhatTheWriterWrites) {
  EXPECT_EQ(header_of(Opcode::kPing, true, 0), (Header{int(kPingFrame[0]), int(kPingFrame[1])}));
  EXPECT_EQ(header_of(Opcode::kPong, true, 0), (Header{int(kPongFrame[0]), int(kPongFrame[1])}));
}

TEST(FrameHeaderDeath, RefusesAControlFrameThatTheRfcForbids) {
  EXPECT_DEATH(header_of(Opcode::kPing, true, 126), "CHECK failed");
  EXPECT_DEATH(header_of(Opcode::kPing, false, 1), "CHECK failed");
}

TEST(Mask, TurnsTheRfcsHelloIntoItsMaskedForm) {
  std::string hello = "Hello";
  apply_mask(std::as_writable_bytes(std::span(hello)), kRfcMask);
  EXPECT_EQ(hello, "\x7f\x9f\x4d\x51\x58");
}

TEST(Mask, IsTheSameForEverySizeAlignmentAndOffset) {
  std::vector<std::byte> plain(300);
  for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<std::byte>(i * 7);
  for (std::size_t begin = 0; begin < 17; ++begin) {
    for (std::size_t size = 0; size + begin <= 210; ++size) {
      for (std::size_t offset = 0; offset < 5; ++offset) {
        std::vector<std::byte> masked = plain;
        apply_mask(MutableBytes(masked).subspan(begin, size), kRfcMask, offset);
        for (std::size_t i = 0; i < plain.size(); ++i) {
          const bool inside = i >= begin && i < begin + size;
          const std::byte key = kRfcMask[(i - begin + offset) % 4];
          ASSERT_EQ(masked[i], inside ? plain[i] ^ key : plain[i])
              << "begin " << begin << " size " << size << " offset " << offset << " at " << i;
        }
      }
    }
  }
}

std::string close_frame(std::uint16_t code, std::string_view reason,
                        const MaskKey* mask = nullptr) {
  std::byte out[kCloseFrameBytesMax];
  const std::size_t size = write_close_frame(out, code, reason, mask);
  EXPECT_LE(size, sizeof(out));
  return std::string(as_text({out, size}));
}

TEST(CloseFrame, CarriesCodeAndReason) {
  EXPECT_EQ(close_frame(1001, "bye"),
            "\x88\x05\x03\xe9"
            "bye");
  EXPECT_EQ(close_frame(1000, ""), "\x88\x02\x03\xe8");
}

TEST(CloseFrame, WithoutCodeIsEmpty) {
  EXPECT_EQ(close_frame(1005, ""), std::string("\x88\x00", 2));
}

TEST(CloseFrame, IsMaskedForAClient) {
  EXPECT_EQ(close_frame(1000, "", &kRfcMask), "\x88\x82\x37\xfa\x21\x3d\x34\x12");
}

TEST(CloseFrame, CutsALongReasonBetweenTwoCharacters) {
  const std::string ascii(200, 'x');
  EXPECT_EQ(close_frame(1000, ascii).size(), 2u + 125u);
  EXPECT_EQ(close_frame(1000, ascii, &kRfcMask).size(), kCloseFrameBytesMax);
  std::string umlauts = "x";
  for (int i = 0; i < 100; ++i) umlauts += "\xC3\xBC";  // the 123rd byte would be half of one
  const std::string frame = close_frame(1000, umlauts);
  EXPECT_EQ(frame.substr(4), umlauts.substr(0, 123));
  EXPECT_EQ(close_frame(1000, "xx" + umlauts).substr(4), ("xx" + umlauts).substr(0, 123));
  EXPECT_EQ(close_frame(1000, "x" + umlauts).substr(4), ("x" + umlauts).substr(0, 122));
}

TEST(CloseFrameDeath, RefusesACodeThatMustNotBeSent) {
  EXPECT_DEATH(close_frame(1006, ""), "CHECK failed");
  EXPECT_DEATH(close_frame(1005, "a reason needs a code"), "CHECK failed");
}

TEST(CloseCode, MayBeSentAsTheRfcAndTheRegistrySay) {
  std::vector<std::pair<int, int>> allowed;  // first..last of each run
  for (int code = 0; code <= 0xFFFF; ++code) {
    if (!may_be_sent(static_cast<std::uint16_t>(code))) continue;
    if (!allowed.empty() && allowed.back().second == code - 1) {
      allowed.back().second = code;
    } else {
      allowed.emplace_back(code, code);
    }
  }
  EXPECT_EQ(allowed, (std::vector<std::pair<int, int>>{{1000, 1003}, {1007, 1014}, {3000, 4999}}));
}

TEST(CloseCode, HasANameForLogs) {
  EXPECT_EQ(name(CloseCode::kGoingAway), "going_away");
  EXPECT_EQ(name(static_cast<CloseCode>(4321)), "other");
}

}  // namespace
}  // namespace holdfast::protocol
