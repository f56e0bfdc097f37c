// Any bytes as what comes after a handshake: raw (no key fits), and as the contents of authentic
// records, which only a peer that has the keys can send. Either way, split or not, the same must
// come of them, and nothing after the end.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/tls_record.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

using Kind = TlsOpened::Kind;

TlsTraffic traffic(int value) {
  TlsTraffic one;
  std::fill_n(one.secret.begin(), 32, static_cast<std::byte>(value));
  return one;
}

std::string outcome_of(TlsEngine& engine, Bytes wire, std::size_t piece_bytes) {
  TlsRecords records(engine, TlsSuite::kAes128Gcm, traffic(1), traffic(2), 0);
  std::string outcome;
  std::vector<std::byte> waiting;
  for (std::size_t at = 0; at < wire.size(); at += piece_bytes) {
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    waiting.insert(waiting.end(), piece.begin(), piece.end());
    std::vector<std::byte> memory = waiting;
    MutableBytes input = memory;
    while (true) {
      const TlsOpened opened = records.open(engine, input);
      CHECK(opened.used <= input.size());
      if (opened.kind == Kind::kMore) CHECK(opened.used == 0 && opened.plaintext.empty());
      if (opened.kind == Kind::kMore || opened.used == 0) {
        if (opened.kind == Kind::kFailed) return outcome + "failed " + std::string(opened.reason);
        break;
      }
      outcome += as_text(opened.plaintext);
      input = input.subspan(opened.used);
      if (opened.kind == Kind::kFailed) return outcome + "failed " + std::string(opened.reason);
      if (opened.kind == Kind::kAlerted) return outcome + "alerted";
      if (opened.kind == Kind::kClosed) return outcome + "closed";
    }
    waiting.assign(input.begin(), input.end());
  }
  return outcome;
}

// Records of: kind (1), padding (1), length (1), content.
std::vector<std::byte> sealed(TlsEngine& engine, Bytes script) {
  TlsTraffic write = traffic(1);
  std::vector<std::byte> wire;
  while (script.size() >= 3) {
    const auto type = static_cast<TlsContent>(script[0]);
    const auto padding = std::to_integer<std::size_t>(script[1]);
    const std::size_t size = std::min(std::to_integer<std::size_t>(script[2]), script.size() - 3);
    const Bytes content = script.subspan(3, size);
    const std::size_t at = wire.size();
    wire.resize(at + size + padding + kTlsOverheadBytes);
    engine.seal(TlsSuite::kAes128Gcm, write.secret, write.sequence++, type, {&content, 1}, padding,
                wire.data() + at);
    if (type == TlsContent::kHandshake && size >= 5 &&
        content[0] == static_cast<std::byte>(kTlsKeyUpdate)) {
      write.secret = engine.advance(TlsSuite::kAes128Gcm, write.secret);
      write.sequence = 0;
    }
    script = script.subspan(3 + size);
  }
  return wire;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  TlsEngine engine(4);
  const Bytes script = as_bytes({reinterpret_cast<const char*>(data) + 2, size - 2});
  const std::vector<std::byte> wire = (data[0] & 1) != 0
                                          ? std::vector<std::byte>(script.begin(), script.end())
                                          : sealed(engine, script);
  const std::string whole = outcome_of(engine, wire, wire.size() + 1);
  CHECK(outcome_of(engine, wire, data[1] + 1u) == whole);
  return 0;
}
