#include "protocol/proxy_header.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kLineStart = "PROXY ";
constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};

// 2.2: the 13th byte's halves.
constexpr unsigned kVersion2 = 2;
constexpr unsigned kLocal = 0;
constexpr unsigned kProxy = 1;
// The 14th byte's halves.
constexpr unsigned kUnspec = 0;
constexpr unsigned kInet = 1;
constexpr unsigned kInet6 = 2;
constexpr unsigned kUnix = 3;
constexpr unsigned kTransportMost = 2;  // unspecified, stream, datagram

constexpr std::size_t kInetBytes = 12;
constexpr std::size_t kInet6Bytes = 36;
constexpr std::size_t kUnixBytes = 216;

std::uint16_t big_endian(std::byte high, std::byte low) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(high) << 8 |
                                    std::to_integer<unsigned>(low));
}

// Takes one word and the space behind it; the last word has none.
std::string_view take_word(std::string_view& rest) {
  const std::size_t space = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

// 2.1: decimal, without leading zeros.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return port;
}

bool is_of_family(std::string_view address, bool is_v4) {
  return (address.find(':') == std::string_view::npos) == is_v4;
}

}  // namespace

ProxyHeaderParser::Progress ProxyHeaderParser::feed(Bytes& input) {
  CHECK(accepted_ != ProxyVersions::kNone);
  while (progress_ == Progress::kMore && !input.empty()) {
    if (skip_ > 0) {
      const std::size_t skipped = std::min<std::size_t>(skip_, input.size());
      input = input.subspan(skipped);
      skip_ -= static_cast<std::uint32_t>(skipped);
      if (skip_ == 0) progress_ = Progress::kDone;
      continue;
    }
    const std::byte byte = input.front();
    input = input.subspan(1);
    progress_ = step(byte);
  }
  return progress_;
}

ProxyHeaderParser::Progress ProxyHeaderParser::step(std::byte byte) {
  if (form_ == Form::kUnknown) {
    // The two forms differ in their first byte.
    form_ = byte == std::byte{'P'} ? Form::kLine : Form::kBinary;
    const ProxyVersions wanted = form_ == Form::kLine ? ProxyVersions::kOne : ProxyVersions::kTwo;
    if (byte != std::byte{'P'} && byte != std::byte{'\r'}) return fail("no PROXY header");
    if (accepted_ != ProxyVersions::kBoth && accepted_ != wanted)
      return fail("a PROXY header of another version");
  }
  head_[size_++] = byte;
  return form_ == Form::kLine ? step_line() : step_binary();
}

std::string_view ProxyHeaderParser::line() const { return as_text({head_.data(), size_}); }

ProxyHeaderParser::Progress ProxyHeaderParser::step_line() {
  const std::string_view text = line();
  if (size_ <= kLineStart.size()) {
    return text.back() == kLineStart[size_ - 1u] ? Progress::kMore : fail("no PROXY header");
  }
  if (text.back() == '\n')
    return text[text.size() - 2] == '\r' ? finish_line() : fail("LF without CR");
  if (text[text.size() - 2] == '\r') return fail("CR without LF");
  return size_ < kProxyV1BytesMax ? Progress::kMore : fail("PROXY line too long");
}

// 2.1: "PROXY", family, source, destination, source port, destination port, one space between two.
ProxyHeaderParser::Progress ProxyHeaderParser::finish_line() {
  std::string_view rest = line().substr(kLineStart.size());
  rest.remove_suffix(2);
  const std::string_view family = take_word(rest);
  // What follows UNKNOWN must be ignored.
  if (family == "UNKNOWN") return Progress::kDone;
  const bool is_v4 = family == "TCP4";
  if (!is_v4 && family != "TCP6") return fail("unknown family in a PROXY line");
  const std::string_view from = take_word(rest);
  const std::string_view to = take_word(rest);
  const auto source = IpAddress::parse(from);
  const auto destination = IpAddress::parse(to);
  if (!source || !destination || !is_of_family(from, is_v4) || !is_of_family(to, is_v4)) {
    return fail("malformed address in a PROXY line");
  }
  const auto port = parse_port(take_word(rest));
  if (!port || !parse_port(rest)) return fail("malformed port in a PROXY line");
  source_ = ProxySource{*source, *port};
  return Progress::kDone;
}

ProxyHeaderParser::Progress ProxyHeaderParser::step_binary() {
  if (size_ <= kSignature.size()) {
    return line().back() == kSignature[size_ - 1u] ? Progress::kMore : fail("no PROXY header");
  }
  if (size_ < kProxyV2HeadBytes) return Progress::kMore;
  if (size_ == kProxyV2HeadBytes) return judge_head();
  return size_ < head_bytes_ ? Progress::kMore : finish_binary();
}

ProxyHeaderParser::Progress ProxyHeaderParser::judge_head() {
  const unsigned version = std::to_integer<unsigned>(head_[12]) >> 4;
  const unsigned command = std::to_integer<unsigned>(head_[12]) & 0xF;
  const unsigned family = std::to_integer<unsigned>(head_[13]) >> 4;
  const unsigned transport = std::to_integer<unsigned>(head_[13]) & 0xF;
  const std::size_t length = big_endian(head_[14], head_[15]);
  // 2.2: "Receivers must drop connections presenting unexpected values here", for each of the four.
  if (version != kVersion2) return fail("unknown version of the PROXY protocol");
  if (command != kLocal && command != kProxy) return fail("unknown command in a PROXY header");
  std::size_t addresses = 0;
  // LOCAL: the balancer speaks for itself (a health check), and whatever addresses follow are to be
  // discarded.
  if (command == kProxy) {
    if (family > kUnix || transport > kTransportMost)
      return fail("unknown family in a PROXY header");
    const std::size_t needed = family == kInet    ? kInetBytes
                               : family == kInet6 ? kInet6Bytes
                               : family == kUnix  ? kUnixBytes
                                                  : 0;
    if (length < needed) return fail("PROXY header shorter than its addresses");
    if (family == kInet || family == kInet6) addresses = needed;
  }
  static_assert(kInet6Bytes == kProxyV2AddressBytesMax && kUnspec == 0);
  head_bytes_ = static_cast<std::uint8_t>(kProxyV2HeadBytes + addresses);
  return addresses > 0 ? Progress::kMore : skip_rest(length);
}

ProxyHeaderParser::Progress ProxyHeaderParser::skip_rest(std::size_t bytes) {
  skip_ = static_cast<std::uint32_t>(bytes);
  return skip_ == 0 ? Progress::kDone : Progress::kMore;
}

ProxyHeaderParser::Progress ProxyHeaderParser::finish_binary() {
  const bool is_v4 = std::to_integer<unsigned>(head_[13]) >> 4 == kInet;
  const std::byte* at = head_.data() + kProxyV2HeadBytes;
  const std::size_t width = is_v4 ? 4 : 16;
  const IpAddress address = is_v4 ? IpAddress::from_v4(std::span<const std::byte, 4>(at, 4))
                                  : IpAddress::from_v6(std::span<const std::byte, 16>(at, 16));
  source_ = ProxySource{address, big_endian(at[2 * width], at[2 * width + 1])};
  return skip_rest(big_endian(head_[14], head_[15]) - (2 * width + 4));
}

ProxyHeaderParser::Progress ProxyHeaderParser::fail(std::string_view reason) {
  error_reason_ = reason;
  return Progress::kError;
}

}  // namespace holdfast::protocol
