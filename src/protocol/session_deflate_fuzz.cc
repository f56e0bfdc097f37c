// Any bytes to a session that agreed on permessage-deflate: however they are split, the same events
// must come, nothing is told beyond the limits, and memory stays bounded. The first two bytes
// choose role, limits, takeover and split; the others are read as a list of (first byte, length,
// payload), each a frame that the role accepts. With bit 4 of the first byte, payloads whose first
// byte has RSV1 set are compressed first, so that whole messages are reached.

#include <simdjson.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"
#include "protocol/session.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

struct Told {
  Event::Kind kind;
  std::string payload;
  std::uint16_t code;
  bool operator==(const Told&) const = default;
};

std::vector<Told> events_of(Bytes wire, std::size_t piece_bytes, Role role, SessionLimits limits,
                            Takeover takeover) {
  MessageInflater inflater(takeover);
  limits.inflater = &inflater;
  std::vector<Told> told;
  auto session = std::make_unique<Session>(role, &limits);
  bool over = false;
  for (std::size_t at = 0; at < wire.size() && !over; at += piece_bytes) {
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    std::vector<std::byte> memory(piece.begin(), piece.end());
    MutableBytes input = memory;
    while (auto event = session->next(input)) {
      CHECK(event->payload.size() <=
            std::max<std::size_t>(limits.message_bytes_max, kControlPayloadBytesMax));
      if (event->kind == Event::Kind::kText) {
        CHECK(simdjson::validate_utf8(as_text(event->payload).data(), event->payload.size()));
      }
      told.push_back({event->kind, std::string(as_text(event->payload)), event->code});
      over = event->kind == Event::Kind::kClose || event->kind == Event::Kind::kViolation;
    }
    CHECK(input.empty());
    CHECK(session->owned_bytes() <= 3 * (limits.message_bytes_max + kControlPayloadBytesMax));
    if (session->at_rest()) {
      CHECK(session->owned_bytes() == 0);
      session = std::make_unique<Session>(role, &limits);
    }
  }
  return told;
}

std::vector<std::byte> framed(Bytes data, Role role, bool compresses) {
  const MaskKey mask = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  MessageDeflater deflater(Takeover::kKept);
  std::vector<std::byte> wire;
  while (data.size() >= 2) {
    const std::byte first = data[0];
    Bytes payload = data.subspan(2, std::min(static_cast<std::size_t>(data[1]), data.size() - 2));
    data = data.subspan(2 + payload.size());
    if (compresses && (first & std::byte{kRsv1Bit}) != std::byte{0}) {
      payload = *deflater.deflate(payload);
    }
    std::byte header[kFrameHeaderBytesMax];
    const std::size_t header_bytes = write_frame_header(
        header, Opcode::kBinary, true, payload.size(), role == Role::kServer ? &mask : nullptr);
    header[0] = first;
    wire.insert(wire.end(), header, header + header_bytes);
    wire.insert(wire.end(), payload.begin(), payload.end());
    if (role == Role::kServer) apply_mask(MutableBytes(wire).last(payload.size()), mask);
  }
  return wire;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Role role = (data[0] & 1) != 0 ? Role::kServer : Role::kClient;
  const SessionLimits limits{.message_bytes_max = (data[0] & 2) != 0 ? 300u : 65'536u,
                             .fragments_max = (data[0] & 4) != 0 ? 3u : 1024u};
  const Takeover takeover = (data[0] & 8) != 0 ? Takeover::kKept : Takeover::kNone;
  const Bytes input = as_bytes({reinterpret_cast<const char*>(data) + 2, size - 2});
  const std::vector<std::byte> wire = framed(input, role, (data[0] & 16) != 0);
  const std::vector<Told> whole = events_of(wire, wire.size() + 1, role, limits, takeover);
  CHECK(events_of(wire, data[1] % 64 + 1u, role, limits, takeover) == whole);
  CHECK(events_of(wire, 1, role, limits, takeover) == whole);
  return 0;
}
