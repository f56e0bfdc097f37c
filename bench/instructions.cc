// Does one thing of the protocol so many times, for scripts/instructions to count the instructions
// of each.
//
//   instructions upgrade|text32|ping|pong COUNT
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"
#include "protocol/session.h"

namespace {

using namespace holdfast;
using namespace holdfast::protocol;

constexpr MaskKey kMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr std::string_view kBrowserUpgrade =
    "GET /topics/news?token=abcdef HTTP/1.1\r\nHost: ws.example.com\r\nConnection: "
    "Upgrade\r\nPragma: no-cache\r\n"
    "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://www.example.com\r\n"
    "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: "
    "en-US,en;q=0.9\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

void upgrade(long count) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  std::array<std::byte, kHandshakeResponseBytesMax> out;
  for (long i = 0; i < count; ++i) {
    parser.reset();
    Bytes input = as_bytes(kBrowserUpgrade);
    CHECK(parser.feed(input) == HttpProgress::kDone);
    const HandshakeVerdict verdict = judge_handshake(parser.request());
    CHECK(verdict.status == 101);
    CHECK(write_handshake_response(out.data(), verdict.key) > 0);
  }
}

// A masked frame as it comes from a peer: a fresh session, its event, and all is forgotten.
void receive(Opcode opcode, std::size_t payload_bytes, long count) {
  const SessionLimits limits;
  std::vector<std::byte> wire(kFrameHeaderBytesMax + payload_bytes, std::byte{'x'});
  const std::size_t header = write_frame_header(wire.data(), opcode, true, payload_bytes, &kMask);
  wire.resize(header + payload_bytes);
  apply_mask(MutableBytes(wire).subspan(header), kMask);
  std::vector<std::byte> buffer(wire.size());
  for (long i = 0; i < count; ++i) {
    std::memcpy(buffer.data(), wire.data(), wire.size());
    MutableBytes input = buffer;
    Session session(Role::kServer, &limits);
    const auto event = session.next(input);
    CHECK(event && event->kind != Event::Kind::kViolation &&
          event->payload.size() == payload_bytes);
    CHECK(!session.next(input) && session.at_rest());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 3 ? argv[1] : "";
  const long count = argc == 3 ? std::atol(argv[2]) : 0;
  if (what == "upgrade") {
    upgrade(count);
  } else if (what == "text32") {
    receive(Opcode::kText, 32, count);
  } else if (what == "ping") {
    receive(Opcode::kPing, 4, count);
  } else if (what == "pong") {
    receive(Opcode::kPong, 0, count);
  } else {
    std::fprintf(stderr, "usage: instructions upgrade|text32|ping|pong COUNT\n");
    return 2;
  }
}
