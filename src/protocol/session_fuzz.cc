// Any bytes, in both roles: however they are split, the same events must come. The first two bytes
// choose role, limits and split; half of the inputs are turned into frames with right masks and
// small lengths, so that what lies behind is reached.

#include <simdjson.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "protocol/session.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

struct Told {
  Event::Kind kind;
  std::string payload;
  std::uint16_t code;
  std::string reason;
  bool operator==(const Told&) const = default;
};

void check_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kText:
      CHECK(simdjson::validate_utf8(as_text(event.payload).data(), event.payload.size()));
      break;
    case Event::Kind::kBinary:
      break;
    case Event::Kind::kPing:
    case Event::Kind::kPong:
      CHECK(event.payload.size() <= kControlPayloadBytesMax);
      break;
    case Event::Kind::kClose:
      CHECK(event.code == 1005 || may_be_sent(event.code));
      break;
    case Event::Kind::kViolation:
      CHECK(may_be_sent(event.code) && !event.reason.empty());
      break;
  }
}

// Pieces of `piece_bytes`; each in memory of its own size. A session at rest is replaced by a fresh
// one, as a server does.
std::vector<Told> events_of(Bytes wire, std::size_t piece_bytes, Role role,
                            const SessionLimits& limits) {
  std::vector<Told> told;
  auto session = std::make_unique<Session>(role, &limits);
  bool over = false;
  for (std::size_t at = 0; at < wire.size() && !over; at += piece_bytes) {
    const Bytes piece = wire.subspan(at, std::min(piece_bytes, wire.size() - at));
    std::vector<std::byte> memory(piece.begin(), piece.end());
    MutableBytes input = memory;
    while (auto event = session->next(input)) {
      check_event(*event);
      told.push_back({event->kind, std::string(as_text(event->payload)), event->code,
                      std::string(event->reason)});
      over = event->kind == Event::Kind::kClose || event->kind == Event::Kind::kViolation;
    }
    CHECK(input.empty());
    CHECK(session->owned_bytes() <= 2 * (limits.message_bytes_max + kControlPayloadBytesMax));
    if (over) CHECK(session->at_rest());
    if (session->at_rest()) {
      CHECK(session->owned_bytes() == 0);
      session = std::make_unique<Session>(role, &limits);
    }
  }
  return told;
}

// Reads `data` as a list of (first byte, length, payload) and writes it as frames that the role
// accepts.
std::vector<std::byte> framed(Bytes data, Role role) {
  std::vector<std::byte> wire;
  const MaskKey mask = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  while (data.size() >= 2) {
    const std::byte first = data[0];
    const std::size_t size = std::min(static_cast<std::size_t>(data[1]), data.size() - 2);
    std::byte header[kFrameHeaderBytesMax];
    const std::size_t header_bytes = write_frame_header(header, Opcode::kBinary, true, size,
                                                        role == Role::kServer ? &mask : nullptr);
    header[0] = first;
    wire.insert(wire.end(), header, header + header_bytes);
    const Bytes payload = data.subspan(2, size);
    wire.insert(wire.end(), payload.begin(), payload.end());
    if (role == Role::kServer) apply_mask(MutableBytes(wire).last(size), mask);
    data = data.subspan(2 + size);
  }
  return wire;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Role role = (data[0] & 1) != 0 ? Role::kServer : Role::kClient;
  const SessionLimits limits{.message_bytes_max = (data[0] & 2) != 0 ? 300u : 65'536u,
                             .fragments_max = (data[0] & 4) != 0 ? 3u : 1024u};
  const Bytes input = as_bytes({reinterpret_cast<const char*>(data) + 2, size - 2});
  const std::vector<std::byte> wire =
      (data[0] & 8) != 0 ? framed(input, role) : std::vector<std::byte>(input.begin(), input.end());
  const std::vector<Told> whole = events_of(wire, wire.size() + 1, role, limits);
  CHECK(events_of(wire, data[1] % 64 + 1u, role, limits) == whole);
  CHECK(events_of(wire, 1, role, limits) == whole);
  return 0;
}
