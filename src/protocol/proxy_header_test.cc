#include "protocol/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::protocol {
namespace {

using Progress = ProxyHeaderParser::Progress;
using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(unsigned char command, unsigned char family, std::string addresses,
               std::string more = {}) {
  const std::size_t length = addresses.size() + more.size();
  std::string wire = kSignature;
  wire.push_back(static_cast<char>(command));
  wire.push_back(static_cast<char>(family));
  wire.push_back(static_cast<char>(length >> 8));
  wire.push_back(static_cast<char>(length & 0xFF));
  return wire + addresses + more;
}

const std::string kV4 =
    "\xCB\x00\x71\x07\xC0\x00\x02\x01\xC3\x50\x01\xBB"s;  // 203.0.113.7:50000 to 192.0.2.1:443
const std::string kV6 = "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x17"s +
                        "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"s + "\xC3\x50\x01\xBB"s;

// What came of it: the source ("none" where the header names none) and what was left of the input,
// or the error.
std::string outcome(std::string wire, std::size_t piece,
                    ProxyVersions accepted = ProxyVersions::kBoth) {
  ProxyHeaderParser parser(accepted);
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    Bytes input = as_bytes(std::string_view(wire).substr(at, piece));
    const std::size_t before = input.size();
    const Progress progress = parser.feed(input);
    if (progress == Progress::kError) return "error: " + std::string(parser.error_reason());
    if (progress == Progress::kMore) {
      EXPECT_TRUE(input.empty());
      continue;
    }
    const std::string rest = wire.substr(at + before - input.size());
    if (!parser.source()) return "none|" + rest;
    return parser.source()->address.to_string() + " " + std::to_string(parser.source()->port) +
           "|" + rest;
  }
  return "more";
}

// The same, and that it does not depend on how the bytes came.
std::string read(const std::string& wire, ProxyVersions accepted = ProxyVersions::kBoth) {
  const std::string whole = outcome(wire, wire.size() + 1, accepted);
  for (std::size_t piece = 1; piece <= wire.size() && piece < 300; ++piece)
    EXPECT_EQ(outcome(wire, piece, accepted), whole) << piece;
  return whole;
}

TEST(ProxyHeader, OfVersion1NamesTheClient) {
  EXPECT_EQ(read("PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\nGET /"), "203.0.113.7 50000|GET /");
  EXPECT_EQ(read("PROXY TCP6 2001:db8::17 2001:db8::1 50000 443\r\n"), "2001:db8::17 50000|");
  EXPECT_EQ(read("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
            "255.255.255.255 65535|");
  EXPECT_EQ(read("PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n"), "203.0.113.7 0|");
}

TEST(ProxyHeader, OfVersion1AtTheGreatestLengthIsTaken) {
  const std::string address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const std::string wire = "PROXY TCP6 " + address + " " + address + " 65535 65535\r\n";
  EXPECT_EQ(read(wire + "x"), address + " 65535|x");
  const std::string unknown = "PROXY UNKNOWN " + std::string(kProxyV1BytesMax - 16, 'x') + "\r\n";
  ASSERT_EQ(unknown.size(), kProxyV1BytesMax);
  EXPECT_EQ(read(unknown + "GET"), "none|GET");
  EXPECT_EQ(read("PROXY UNKNOWN " + std::string(kProxyV1BytesMax - 15, 'x') + "\r\n"),
            "error: PROXY line too long");
}

TEST(ProxyHeader, ThatNamesNobodyLeavesTheConnectionsOwnAddress) {
  EXPECT_EQ(read("PROXY UNKNOWN\r\nGET"), "none|GET");
  EXPECT_EQ(read("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET"), "none|GET");
  EXPECT_EQ(read(v2(0x20, 0x00, "") + "GET"), "none|GET") << "LOCAL";
  EXPECT_EQ(read(v2(0x20, 0x11, kV4) + "GET"), "none|GET")
      << "LOCAL: addresses are to be discarded";
  EXPECT_EQ(read(v2(0x20, 0xFF, "junk") + "GET"), "none|GET") << "LOCAL: so is the family";
  EXPECT_EQ(read(v2(0x21, 0x00, "", "tlv") + "GET"), "none|GET") << "AF_UNSPEC";
  EXPECT_EQ(read(v2(0x21, 0x31, std::string(216, '/')) + "GET"), "none|GET") << "AF_UNIX";
}

TEST(ProxyHeader, OfVersion2NamesTheClient) {
  EXPECT_EQ(read(v2(0x21, 0x11, kV4) + "GET"), "203.0.113.7 50000|GET");
  EXPECT_EQ(read(v2(0x21, 0x21, kV6) + "GET"), "2001:db8::17 50000|GET");
  EXPECT_EQ(read(v2(0x21, 0x12, kV4) + "GET"), "203.0.113.7 50000|GET")
      << "the client's side may have been QUIC";
}

TEST(ProxyHeader, OfVersion2MayCarryMoreThanAddresses) {
  EXPECT_EQ(read(v2(0x21, 0x11, kV4, "\x03\x00\x04\xA9\xB8\x7E\x8F"s) + "GET"),
            "203.0.113.7 50000|GET");
  const std::string most(65535 - 12, 't');
  EXPECT_EQ(outcome(v2(0x21, 0x11, kV4, most) + "GET", 1000), "203.0.113.7 50000|GET");
  EXPECT_EQ(outcome(v2(0x21, 0x11, kV4, most) + "GET", 1), "203.0.113.7 50000|GET");
}

TEST(ProxyHeader, IsRefusedAtItsFirstWrongByte) {
  EXPECT_EQ(read("G"), "error: no PROXY header");
  EXPECT_EQ(read("\x16\x03\x01"), "error: no PROXY header");
  EXPECT_EQ(read("PROXy"), "error: no PROXY header");
  EXPECT_EQ(read("PRI * HTTP/2.0\r\n"), "error: no PROXY header");
  EXPECT_EQ(read("\r\n\r\n\0\r\nQUIX"s), "error: no PROXY header");
  EXPECT_EQ(read("\r\nG"), "error: no PROXY header");
}

TEST(ProxyHeader, WithASlipIsRefused) {
  for (const char* wire : {
           "PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\rx",
           "PROXY TCP4 203.0.113.7 192.0.2.1 50000\r\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 50000 443 \r\n",
           "PROXY  TCP4 203.0.113.7 192.0.2.1 50000 443\r\n",
           "PROXY TCP4  203.0.113.7 192.0.2.1 50000 443\r\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 -1 443\r\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 050 443\r\n",
           "PROXY TCP4 203.0.113.7 192.0.2.1 5 443x\r\n",
           "PROXY TCP4 2001:db8::17 2001:db8::1 50000 443\r\n",
           "PROXY TCP6 203.0.113.7 192.0.2.1 50000 443\r\n",
           "PROXY TCP4 203.0.113 192.0.2.1 50000 443\r\n",
           "PROXY TCP4 203.0.113.7 x 50000 443\r\n",
           "PROXY UDP4 203.0.113.7 192.0.2.1 50000 443\r\n",
           "PROXY \r\n",
           "PROXY unknown\r\n",
           "PROXY UNKNOWNX\r\n",
       }) {
    EXPECT_EQ(read(wire).substr(0, 6), "error:") << wire;
  }
}

TEST(ProxyHeader, OfVersion2WithAReservedValueIsRefused) {
  EXPECT_EQ(read(v2(0x11, 0x11, kV4)), "error: unknown version of the PROXY protocol");
  EXPECT_EQ(read(v2(0x31, 0x11, kV4)), "error: unknown version of the PROXY protocol");
  EXPECT_EQ(read(v2(0x22, 0x11, kV4)), "error: unknown command in a PROXY header");
  EXPECT_EQ(read(v2(0x21, 0x41, kV4)), "error: unknown family in a PROXY header");
  EXPECT_EQ(read(v2(0x21, 0x13, kV4)), "error: unknown family in a PROXY header");
  EXPECT_EQ(read(v2(0x21, 0x11, kV4.substr(1))), "error: PROXY header shorter than its addresses");
  EXPECT_EQ(read(v2(0x21, 0x21, kV6.substr(1))), "error: PROXY header shorter than its addresses");
  EXPECT_EQ(read(v2(0x21, 0x31, std::string(215, '/'))),
            "error: PROXY header shorter than its addresses");
}

TEST(ProxyHeader, OfAVersionThatTheListenerDoesNotTakeIsRefused) {
  EXPECT_EQ(read("PROXY UNKNOWN\r\n", ProxyVersions::kOne), "none|");
  EXPECT_EQ(read("PROXY UNKNOWN\r\n", ProxyVersions::kTwo),
            "error: a PROXY header of another version");
  EXPECT_EQ(read(v2(0x20, 0, ""), ProxyVersions::kTwo), "none|");
  EXPECT_EQ(read(v2(0x20, 0, ""), ProxyVersions::kOne), "error: a PROXY header of another version");
}

TEST(ProxyHeader, ThatIsNotWholeWaitsForMore) {
  const std::string line = "PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n";
  for (std::size_t size = 1; size < line.size(); ++size)
    EXPECT_EQ(read(line.substr(0, size)), "more") << size;
  const std::string binary = v2(0x21, 0x11, kV4, "more");
  for (std::size_t size = 1; size < binary.size(); ++size)
    EXPECT_EQ(read(binary.substr(0, size)), "more") << size;
}

}  // namespace
}  // namespace holdfast::protocol
