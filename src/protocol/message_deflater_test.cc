// Both directions, against each other and against zlib itself.

#include "protocol/message_deflater.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <string>
#include <vector>

#include "protocol/message_inflater.h"

namespace holdfast::protocol {
namespace {

using Outcome = MessageInflater::Outcome;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Bytes of a test's own spelling.
std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

std::string inflated(MessageInflater& inflater, std::string_view payload,
                     std::size_t bytes_max = kMiB) {
  const Outcome outcome = inflater.inflate(as_bytes(payload), bytes_max);
  if (outcome == Outcome::kTooBig) return "(too big)";
  if (outcome == Outcome::kCorrupt) return "(corrupt)";
  return std::string(as_text(inflater.message()));
}
std::string inflated(std::string_view payload, std::size_t bytes_max = kMiB) {
  MessageInflater inflater;
  return inflated(inflater, payload, bytes_max);
}

// As any other peer compresses: zlib, with the tail cut off.
std::string zlib_deflated(std::string_view message, int level = 6, int window_bits = 15,
                          int memory_level = 8, int flush = Z_SYNC_FLUSH) {
  z_stream stream{};
  EXPECT_EQ(
      deflateInit2(&stream, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY),
      Z_OK);
  std::string out(message.size() + message.size() / 4 + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(message.data()));
  stream.avail_in = static_cast<uInt>(message.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, flush);
  EXPECT_NE(stream.avail_out, 0u);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  if (flush == Z_SYNC_FLUSH) out.resize(out.size() - 4);
  return out;
}

// As a peer with exactly this window reads it: no output buffer that a reference could reach into.
std::string zlib_inflated_in_window(std::string_view payload, int window_bits) {
  const std::string input = std::string(payload) + bytes({0, 0, 0xFF, 0xFF});
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, -window_bits), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  std::string out;
  while (true) {
    Bytef byte = 0;
    stream.next_out = &byte;
    stream.avail_out = 1;
    const int result = inflate(&stream, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) {
      inflateEnd(&stream);
      return "(refers too far back)";
    }
    if (stream.avail_out != 0) break;
    out.push_back(static_cast<char>(byte));
  }
  inflateEnd(&stream);
  return out;
}

// Words that come again at all distances, with noise between them.
std::string words(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::string> known;
  std::string text;
  while (text.size() < size) {
    if (known.empty() || random() % 3 == 0) {
      std::string word;
      for (auto i = random() % 12 + 1; i > 0; --i) {
        word.push_back(static_cast<char>('a' + random() % 26));
      }
      known.push_back(word);
      text += word;
    } else {
      text += known[random() % known.size()];
    }
    text += ' ';
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// --- RFC 7692 7.2.3

TEST(MessageInflater, ReadsTheRfcsHello) {
  EXPECT_EQ(inflated(bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
}

TEST(MessageInflater, ReadsTheRfcsHelloThatRefersToTheOneBefore) {
  MessageInflater inflater(Takeover::kKept);
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "Hello");
}

TEST(MessageInflater, ReadsTheRfcsBlockWithoutCompression) {
  EXPECT_EQ(inflated(bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00})),
            "Hello");
}

TEST(MessageInflater, ReadsTheRfcsFinalBlock) {
  EXPECT_EQ(inflated(bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00})), "Hello");
}

TEST(MessageInflater, ReadsTheRfcsTwoBlocks) {
  EXPECT_EQ(inflated(bytes(
                {0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00})),
            "Hello");
}

TEST(MessageInflater, ReadsTheRfcsEmptyMessage) { EXPECT_EQ(inflated(bytes({0x00})), ""); }

// --- beyond the RFC's examples

TEST(MessageInflater, TakesAnEmptyPayloadForAnEmptyMessage) { EXPECT_EQ(inflated(""), ""); }

TEST(MessageInflater, ReadsAFinalBlockWithNothingBehindIt) {
  EXPECT_EQ(inflated(zlib_deflated("Hello", 6, 15, 8, Z_FINISH)), "Hello");
}

TEST(MessageInflater, KeepsItsWindowOverAFinalBlock) {
  MessageInflater inflater(Takeover::kKept);
  EXPECT_EQ(inflated(inflater, bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00})), "Hello");
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "Hello");
}

TEST(MessageInflater, ForgetsTheWindowWithoutTakeover) {
  MessageInflater inflater;
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "(corrupt)");
  EXPECT_EQ(inflated(inflater, bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello")
      << "and serves the next peer as if nothing had been";
}

TEST(MessageInflater, RefusesEveryMessageThatIsCutShort) {
  const std::string payload = zlib_deflated(words(500, 1));
  for (std::size_t size = 1; size < payload.size(); ++size) {
    EXPECT_EQ(inflated(payload.substr(0, size)), "(corrupt)") << size << " of " << payload.size();
  }
}

TEST(MessageInflater, RefusesWhatIsNotDeflate) {
  EXPECT_EQ(inflated("this is not compressed at all"), "(corrupt)");
  EXPECT_EQ(inflated(bytes({0x06})), "(corrupt)") << "a reserved kind of block";
  EXPECT_EQ(inflated(bytes({0x00, 0x05, 0x00, 0x00, 0x00})), "(corrupt)") << "a length that lies";
}

TEST(MessageInflater, StopsAtTheLimitAndAllowsItExactly) {
  const std::string message(5000, 'x');
  EXPECT_EQ(inflated(zlib_deflated(message), 5000), message);
  EXPECT_EQ(inflated(zlib_deflated(message), 4999), "(too big)");
  EXPECT_EQ(inflated(zlib_deflated("x"), 0), "(too big)");
  EXPECT_EQ(inflated(bytes({0x00}), 0), "");
}

TEST(MessageInflater, IsNotBusyWithFinalBlocksWithoutEnd) {
  std::string payload;
  for (int i = 0; i < 500'000; ++i) payload += bytes({0x03, 0x00});
  EXPECT_EQ(inflated(payload), "");
}

TEST(MessageInflater, ReadsWhatZlibWritesWithAnySettings) {
  MessageInflater inflater;
  std::uint32_t seed = 0;
  for (const std::size_t size : {1u, 2u, 100u, 1000u, 10'000u, 70'000u, 300'000u}) {
    for (const int level : {0, 1, 6, 9}) {
      for (const int window_bits : {9, 12, 15}) {
        const std::string message = seed % 2 == 0 ? words(size, seed) : noise(size, seed);
        const int memory_level = static_cast<int>(seed++ % 9) + 1;
        EXPECT_EQ(inflated(inflater, zlib_deflated(message, level, window_bits, memory_level)),
                  message);
        inflater.release();
      }
    }
  }
}

// --- the other way

TEST(MessageDeflater, WritesTheRfcsEmptyMessage) {
  MessageDeflater deflater;
  EXPECT_EQ(as_text(*deflater.deflate({})), bytes({0x00}));
}

TEST(MessageDeflater, WritesWhatFitsTheWindowThatWasAgreedOn) {
  for (std::uint8_t window_bits = 8; window_bits <= 15; ++window_bits) {
    MessageDeflater deflater(Takeover::kNone, window_bits);
    std::uint32_t seed = window_bits;
    for (const std::size_t size : {40u, 300u, 600u, 5000u, 40'000u, 100'000u}) {
      for (const std::string& message : {words(size, ++seed), std::string(size, 'x')}) {
        const auto payload = deflater.deflate(as_bytes(message));
        if (!payload) continue;
        EXPECT_LT(payload->size(), message.size());
        EXPECT_EQ(zlib_inflated_in_window(as_text(*payload), window_bits), message)
            << size << " bytes, window bits " << int{window_bits};
      }
    }
  }
}

TEST(MessageDeflater, DeclinesWhatDoesNotGetSmaller) {
  MessageDeflater deflater;
  for (const std::size_t size : {1u, 5u, 100u, 10'000u, 200'000u}) {
    EXPECT_EQ(deflater.deflate(as_bytes(noise(size, 7))), std::nullopt) << size;
    const std::string zeros(size + 100, '0');
    EXPECT_EQ(inflated(as_text(*deflater.deflate(as_bytes(zeros)))), zeros)
        << "and goes on with the next";
  }
}

TEST(MessageDeflater, WithoutTakeoverEachMessageStandsAlone) {
  MessageDeflater deflater;
  const std::string message = words(2000, 3);
  const std::string first(as_text(*deflater.deflate(as_bytes(message))));
  EXPECT_EQ(as_text(*deflater.deflate(as_bytes(message))), first);
}

TEST(MessageDeflater, WithTakeoverMessagesReferToThoseBeforeThem) {
  for (std::uint8_t window_bits = 8; window_bits <= 15; ++window_bits) {
    MessageDeflater deflater(Takeover::kKept, window_bits);
    MessageInflater inflater(Takeover::kKept, window_bits);
    const std::string repeated = words(150, 5);
    std::size_t first_size = 0;
    for (std::uint32_t round = 0; round < 300; ++round) {
      const std::string message = round % 5 == 3    ? noise(round, round)
                                  : round % 7 == 4  ? ""
                                  : round % 11 == 5 ? words(round * 20, round)
                                                    : repeated;
      const auto payload = deflater.deflate(as_bytes(message));
      ASSERT_TRUE(payload) << "what moved the window must be sent";
      if (round == 0) first_size = payload->size();
      if (round == 1) {
        EXPECT_LT(payload->size(), first_size / 4);
      }
      ASSERT_EQ(inflated(inflater, as_text(*payload)), message)
          << "round " << round << ", window bits " << int{window_bits};
    }
  }
}

TEST(MessageDeflater, AfterForgettingRefersToNothingBefore) {
  MessageDeflater deflater(Takeover::kKept);
  MessageInflater reader(Takeover::kKept);
  const std::string message = words(300, 9);
  const std::string first(as_text(*deflater.deflate(as_bytes(message))));
  EXPECT_EQ(inflated(reader, first), message);
  EXPECT_EQ(inflated(reader, zlib_deflated("a message from elsewhere")),
            "a message from elsewhere");
  deflater.forget();
  const std::string second(as_text(*deflater.deflate(as_bytes(message))));
  EXPECT_EQ(second, first);
  EXPECT_EQ(inflated(reader, second), message);
}

}  // namespace
}  // namespace holdfast::protocol
