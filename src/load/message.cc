#include "load/message.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace holdfast::load {
namespace {

constexpr std::size_t kFillerPeriod = 26;

// A long run of filler to copy from and compare with: one memcmp instead of a loop over letters.
constexpr auto kFiller = [] {
  std::array<char, kFillerPeriod * 160> filler{};
  for (std::size_t i = 0; i < filler.size(); ++i)
    filler[i] = static_cast<char>('a' + i % kFillerPeriod);
  return filler;
}();

void write_hex(std::byte* out, std::uint64_t value, int digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int i = digits - 1; i >= 0; --i, value >>= 4)
    out[i] = static_cast<std::byte>(kDigits[value & 15]);
}

std::optional<std::uint64_t> read_hex(Bytes bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) {
    const auto c = static_cast<unsigned char>(byte);
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

}  // namespace

void write_message(MutableBytes out, const Message& message) {
  CHECK(out.size() >= kMessageBytesMin);
  write_hex(out.data(), message.sender, 8);
  write_hex(out.data() + 8, message.sequence, 8);
  write_hex(out.data() + 16,
            static_cast<std::uint64_t>(message.intended.time_since_epoch().count()), 16);
  for (MutableBytes rest = out.subspan(kMessageBytesMin); !rest.empty();) {
    const std::size_t length = std::min(rest.size(), kFiller.size());
    std::memcpy(rest.data(), kFiller.data(), length);
    rest = rest.subspan(length);
  }
}

std::optional<Message> read_message(Bytes bytes) {
  if (bytes.size() < kMessageBytesMin) return std::nullopt;
  const auto sender = read_hex(bytes.subspan(0, 8));
  const auto sequence = read_hex(bytes.subspan(8, 8));
  const auto intended = read_hex(bytes.subspan(16, 16));
  if (!sender || !sequence || !intended) return std::nullopt;
  for (Bytes rest = bytes.subspan(kMessageBytesMin); !rest.empty();) {
    const std::size_t length = std::min(rest.size(), kFiller.size());
    if (std::memcmp(rest.data(), kFiller.data(), length) != 0) return std::nullopt;
    rest = rest.subspan(length);
  }
  return Message{static_cast<std::uint32_t>(*sender), static_cast<std::uint32_t>(*sequence),
                 Instant(Duration(static_cast<std::int64_t>(*intended)))};
}

}  // namespace holdfast::load
