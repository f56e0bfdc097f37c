// What the protocol costs per event. Each time stands beside a reference of the same run: see the
// pairs.

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/http_request.h"
#include "protocol/session.h"
#include "protocol/utf8.h"

namespace holdfast::protocol {
namespace {

constexpr MaskKey kMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr std::size_t kLargeBytes = 16 << 20;

// As Chromium 120 sends it: 500 bytes and more of head.
constexpr std::string_view kBrowserUpgrade =
    "GET /topics/news?token=abcdef HTTP/1.1\r\n"
    "Host: ws.example.com\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: https://www.example.com\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

std::vector<std::byte> frame(Opcode opcode, std::size_t payload_bytes, bool masked) {
  std::vector<std::byte> bytes(kFrameHeaderBytesMax + payload_bytes, std::byte{'x'});
  const std::size_t header =
      write_frame_header(bytes.data(), opcode, true, payload_bytes, masked ? &kMask : nullptr);
  bytes.resize(header + payload_bytes);
  if (masked) apply_mask(MutableBytes(bytes).subspan(header), kMask);
  return bytes;
}

// A whole upgrade: parse, judge, answer. The parser is warm, as a worker's is.
void upgrade(benchmark::State& state, std::string_view wire) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  std::array<std::byte, kHandshakeResponseBytesMax> out;
  for (auto _ : state) {
    parser.reset();
    Bytes input = as_bytes(wire);
    CHECK(parser.feed(input) == HttpProgress::kDone);
    const HandshakeVerdict verdict = judge_handshake(parser.request());
    CHECK(verdict.status == 101);
    benchmark::DoNotOptimize(write_handshake_response(out.data(), verdict.key));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(wire.size()));
}
void BM_UpgradeOfABrowser(benchmark::State& state) { upgrade(state, kBrowserUpgrade); }
void BM_UpgradeOfOurLoadGenerator(benchmark::State& state) {
  upgrade(state, handshake_request("127.0.0.1:8080", "/", "dGhlIHNhbXBsZSBub25jZQ=="));
}
void BM_UpgradeParseAlone(benchmark::State& state) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  for (auto _ : state) {
    parser.reset();
    Bytes input = as_bytes(kBrowserUpgrade);
    CHECK(parser.feed(input) == HttpProgress::kDone);
  }
}
void BM_HandshakeResponseAlone(benchmark::State& state) {
  std::array<std::byte, kHandshakeResponseBytesMax> out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(write_handshake_response(out.data(), "dGhlIHNhbXBsZSBub25jZQ=="));
  }
}

// What every receive of a peer does: a fresh session, its events, thrown away.
void receive(benchmark::State& state, Opcode opcode, std::size_t payload_bytes, Role role) {
  const SessionLimits limits{.message_bytes_max = kLargeBytes};
  const std::vector<std::byte> wire = frame(opcode, payload_bytes, role == Role::kServer);
  std::vector<std::byte> buffer = wire;
  const std::size_t header = wire.size() - payload_bytes;
  for (auto _ : state) {
    // Unmasking a payload twice is its mask again, so only a small one is put back.
    if (payload_bytes < 4096 && payload_bytes > 0 && role == Role::kServer) {
      std::memcpy(buffer.data() + header, wire.data() + header, payload_bytes);
    }
    MutableBytes input = buffer;
    Session session(role, &limits);
    auto event = session.next(input);
    CHECK(event && event->kind != Event::Kind::kViolation);
    benchmark::DoNotOptimize(event->payload.data());
    CHECK(!session.next(input) && session.at_rest());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(wire.size()));
}
void BM_Pong(benchmark::State& state) { receive(state, Opcode::kPong, 0, Role::kServer); }
void BM_PingAtTheClient(benchmark::State& state) {
  receive(state, Opcode::kPing, 0, Role::kClient);
}
void BM_Text32(benchmark::State& state) { receive(state, Opcode::kText, 32, Role::kServer); }
void BM_Text1024(benchmark::State& state) { receive(state, Opcode::kText, 1024, Role::kServer); }
void BM_Binary16MiB(benchmark::State& state) {
  receive(state, Opcode::kBinary, kLargeBytes, Role::kServer);
}
// A large text, unmasked and validated. Its mask leaves ASCII what was ASCII, so that it is valid
// each other time too.
void text(benchmark::State& state, std::size_t payload_bytes) {
  constexpr MaskKey kMild = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const SessionLimits limits{.message_bytes_max = kLargeBytes};
  std::vector<std::byte> buffer(kFrameHeaderBytesMax + payload_bytes, std::byte{'x'});
  write_frame_header(buffer.data(), Opcode::kText, true, payload_bytes, &kMild);
  for (auto _ : state) {
    MutableBytes input =
        MutableBytes(buffer).first(frame_header_bytes(payload_bytes, true) + payload_bytes);
    Session session(Role::kServer, &limits);
    const auto event = session.next(input);
    CHECK(event && event->kind == Event::Kind::kText);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(payload_bytes));
}
void BM_Text16MiB(benchmark::State& state) { text(state, kLargeBytes); }
void BM_Text16KiB(benchmark::State& state) { text(state, 16 << 10); }

// The reference of BM_Binary16MiB: as many bytes copied.
void BM_Memcpy16MiB(benchmark::State& state) {
  const std::vector<std::byte> from(kLargeBytes, std::byte{'x'});
  std::vector<std::byte> to(kLargeBytes);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), kLargeBytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kLargeBytes));
}

// The same where the bytes stay in the cache, as those of a loop's receive buffer do.
void BM_Mask16KiB(benchmark::State& state) {
  std::vector<std::byte> bytes(16 << 10);
  for (auto _ : state) {
    apply_mask(bytes, kMask);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
void BM_Memcpy16KiB(benchmark::State& state) {
  const std::vector<std::byte> from(16 << 10);
  std::vector<std::byte> to(16 << 10);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(from.size()));
}

// The reference of BM_Gather16MiB: as many bytes copied through a buffer of 64 KiB, as they come
// from a kernel, into memory that is in no cache. In such pieces memcpy() does not write past the
// cache.
void BM_MemcpyTwice16MiB(benchmark::State& state) {
  const std::vector<std::byte> from(kLargeBytes, std::byte{'x'});
  std::vector<std::byte> buffer(64 << 10);
  std::vector<std::byte> to(kLargeBytes);
  for (auto _ : state) {
    for (std::size_t at = 0; at < kLargeBytes; at += buffer.size()) {
      std::memcpy(buffer.data(), from.data() + at, buffer.size());
      benchmark::ClobberMemory();
      std::memcpy(to.data() + at, buffer.data(), buffer.size());
    }
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kLargeBytes));
}

// A large message in receives of 64 KiB: what gathering costs on top.
void BM_Gather16MiB(benchmark::State& state) {
  const SessionLimits limits{.message_bytes_max = kLargeBytes};
  const std::vector<std::byte> wire = frame(Opcode::kBinary, kLargeBytes, true);
  std::vector<std::byte> buffer(64 << 10);
  for (auto _ : state) {
    Session session(Role::kServer, &limits);
    std::size_t messages = 0;
    for (Bytes left = wire; !left.empty();) {
      const Bytes part = left.first(std::min(left.size(), buffer.size()));
      left = left.subspan(part.size());
      std::memcpy(buffer.data(), part.data(), part.size());
      MutableBytes input = MutableBytes(buffer).first(part.size());
      while (session.next(input)) ++messages;
    }
    CHECK(messages == 1);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(wire.size()));
}

BENCHMARK(BM_UpgradeOfABrowser);
BENCHMARK(BM_UpgradeOfOurLoadGenerator);
BENCHMARK(BM_UpgradeParseAlone);
BENCHMARK(BM_HandshakeResponseAlone);
BENCHMARK(BM_Pong);
BENCHMARK(BM_PingAtTheClient);
BENCHMARK(BM_Text32);
BENCHMARK(BM_Text1024);
BENCHMARK(BM_Binary16MiB);
BENCHMARK(BM_Text16MiB);
BENCHMARK(BM_Memcpy16MiB);
BENCHMARK(BM_Mask16KiB);
BENCHMARK(BM_Text16KiB);
BENCHMARK(BM_Memcpy16KiB);
BENCHMARK(BM_MemcpyTwice16MiB);
BENCHMARK(BM_Gather16MiB);

}  // namespace
}  // namespace holdfast::protocol
