#pragma once

// What a balancer says in front of a connection's first byte: whose connection it is. The PROXY
// protocol, versions 1 and 2, as HAProxy's "The PROXY protocol" (2020/03/05) defines it; section
// numbers are of that paper.
//
//   v1  PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n
//   v2  signature (12) | version, command | family, transport | length (2) | addresses | TLVs

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ip_address.h"

namespace holdfast::protocol {

// What a listener takes. A header is never optional: who could leave it out could also forge it.
enum class ProxyVersions : std::uint8_t { kNone, kOne, kTwo, kBoth };

inline constexpr std::size_t kProxyV1BytesMax = 107;        // 2.1: the longest line, CR LF included
inline constexpr std::size_t kProxyV2HeadBytes = 16;        // 2.2
inline constexpr std::size_t kProxyV2AddressBytesMax = 36;  // of those families that we read

struct ProxySource {
  IpAddress address;
  std::uint16_t port;
};

// Reads one header. Holds what it needs of it (TLVs are passed over, not kept); no allocation. 160
// bytes.
class ProxyHeaderParser {
 public:
  enum class Progress : std::uint8_t { kMore, kDone, kError };

  // `accepted` is not kNone.
  explicit ProxyHeaderParser(ProxyVersions accepted) : accepted_(accepted) {}

  // Consumes from the front of `input`. kMore: all was taken and more is needed. kDone: `input`
  // starts at the first byte of what the client itself sent. kError: drop the connection, for
  // nothing that follows can be trusted (2.2). After kDone and kError it changes nothing. A wrong
  // header is refused at its first wrong byte.
  Progress feed(Bytes& input);

  // After kDone: the client. Nothing where the header names none (LOCAL, UNKNOWN, AF_UNSPEC,
  // AF_UNIX): the connection's own peer counts.
  const std::optional<ProxySource>& source() const { return source_; }
  // After kError; static text.
  std::string_view error_reason() const { return error_reason_; }

 private:
  enum class Form : std::uint8_t { kUnknown, kLine, kBinary };

  Progress step(std::byte byte);
  Progress step_line();
  Progress step_binary();
  Progress finish_line();
  Progress judge_head();
  Progress finish_binary();
  Progress skip_rest(std::size_t bytes);
  Progress fail(std::string_view reason);
  std::string_view line() const;

  std::array<std::byte, kProxyV1BytesMax> head_{};
  std::uint8_t size_ = 0;        // of head_, filled
  std::uint8_t head_bytes_ = 0;  // v2: of head and addresses, once known
  Form form_ = Form::kUnknown;
  ProxyVersions accepted_;
  Progress progress_ = Progress::kMore;
  std::uint32_t skip_ = 0;  // v2: bytes behind the addresses that are still to come
  std::optional<ProxySource> source_;
  std::string_view error_reason_;
};

}  // namespace holdfast::protocol
