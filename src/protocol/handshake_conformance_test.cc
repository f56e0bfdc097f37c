// The table of opening handshakes against the protocol's core: each request whole, byte by byte,
// and at every split.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "protocol/handshake.h"
#include "protocol/http_request.h"

namespace holdfast::protocol {
namespace {

struct RequestCase {
  std::string name;
  std::string first = "GET /echo HTTP/1.1";
  std::vector<std::string> headers = {
      "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"};
  int status = 0;

  std::string wire() const {
    std::string result = first + "\r\n";
    for (const std::string& header : headers) result += header + "\r\n";
    return result + "\r\n";
  }
  // Empty, or what is wrong with the line.
  std::string take(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string word = line.substr(0, space);
    const std::string rest = line.substr(space + 1);
    const std::string name_and_colon = rest.substr(0, rest.find(':')) + ":";
    const auto same = [&](const std::string& header) { return header.starts_with(name_and_colon); };
    if (word == "line") {
      first = rest;
    } else if (word == "add") {
      headers.push_back(rest);
    } else if (word == "set") {
      std::replace_if(headers.begin(), headers.end(), same, rest);
    } else if (word == "drop") {
      headers.erase(std::remove_if(headers.begin(), headers.end(), same), headers.end());
    } else if (word == "status") {
      status = std::stoi(rest);
    } else if (word != "answer") {  // which only a server gives
      return "unknown word " + word;
    }
    return {};
  }
};

std::vector<RequestCase> read_requests() {
  std::vector<RequestCase> cases;
  std::ifstream in(HOLDFAST_CONFORMANCE_CASES "/handshake.requests");
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.starts_with("#") || line.starts_with("section ")) continue;
    if (line.starts_with("case ")) {
      cases.emplace_back();
      cases.back().name = line.substr(5);
    } else if (!cases.empty()) {
      EXPECT_EQ(cases.back().take(line), "");
    }
  }
  return cases;
}

// What the core says to a request that comes in `pieces`; 0 when it wants more.
int status_of(std::string_view wire, std::vector<std::size_t> cuts) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  cuts.push_back(wire.size());
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    const std::string piece(
        wire.substr(begin, end - begin));  // memory of its own: nothing of it may be kept
    begin = end;
    Bytes input = as_bytes(piece);
    switch (parser.feed(input)) {
      case HttpProgress::kMore:
        continue;
      case HttpProgress::kError:
        return parser.error_status();
      case HttpProgress::kDone:
        return judge_handshake(parser.request()).status;
    }
  }
  return 0;
}

TEST(HandshakeConformance, HoldsWholeByteByByteAndAtEverySplit) {
  const auto cases = read_requests();
  EXPECT_GE(cases.size(), 25u);
  for (const RequestCase& one : cases) {
    if (one.status == 404) continue;  // which paths there are is the server's business
    const std::string wire = one.wire();
    ASSERT_EQ(status_of(wire, {}), one.status) << one.name;
    std::vector<std::size_t> every;
    for (std::size_t at = 1; at < wire.size(); ++at) {
      every.push_back(at);
      ASSERT_EQ(status_of(wire, {at}), one.status) << one.name << ", split at " << at;
    }
    ASSERT_EQ(status_of(wire, every), one.status) << one.name << ", byte by byte";
  }
}

}  // namespace
}  // namespace holdfast::protocol
