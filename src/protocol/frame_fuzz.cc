// Any bytes as the first frame that a peer sends: its header is read here a second time, straight
// from RFC 6455 5.2, and Session must take exactly these bytes and judge them so. A header that is
// right must be what write_frame_header() makes of what it says. The first byte chooses the role.

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/check.h"
#include "protocol/close_code.h"
#include "protocol/frame.h"
#include "protocol/session.h"
#include "protocol/utf8.h"

using namespace holdfast;
using namespace holdfast::protocol;

namespace {

constexpr std::uint32_t kMessageBytesMax = 100'000;

struct Header {
  bool final, rsv1, masked;
  bool is_rsv_wrong;  // RSV2, RSV3; and RSV1, as no extension is negotiated
  std::uint8_t opcode;
  std::size_t length_bytes;  // behind the first two bytes
  std::uint64_t payload_bytes;
  MaskKey mask{};
  std::size_t bytes() const { return 2 + length_bytes + (masked ? 4 : 0); }
};

// Nothing when it is cut short.
std::optional<Header> header_of(Bytes wire) {
  if (wire.size() < 2) return std::nullopt;
  const auto first = std::to_integer<unsigned>(wire[0]);
  const auto second = std::to_integer<unsigned>(wire[1]);
  Header header{};
  header.final = first >> 7 != 0;
  header.rsv1 = (first >> 6 & 1) != 0;
  header.is_rsv_wrong = (first >> 4 & 7) != 0;
  header.opcode = first & 15;
  header.masked = second >> 7 != 0;
  header.payload_bytes = second & 127;
  header.length_bytes = header.payload_bytes == 126 ? 2 : header.payload_bytes == 127 ? 8 : 0;
  if (wire.size() < header.bytes()) return std::nullopt;
  if (header.length_bytes > 0) header.payload_bytes = 0;
  for (const std::byte byte : wire.subspan(2, header.length_bytes))
    header.payload_bytes = header.payload_bytes << 8 | std::to_integer<std::uint64_t>(byte);
  if (header.masked) std::copy_n(wire.begin() + 2 + header.length_bytes, 4, header.mask.begin());
  return header;
}

bool is_shortest(const Header& header) {
  if (header.length_bytes == 0) return true;
  return header.length_bytes == 2
             ? header.payload_bytes > 125
             : header.payload_bytes > 0xFFFF && header.payload_bytes >> 63 == 0;
}

// Whether a peer of that role may begin with it. (A Close of one byte has half a code.)
bool is_right(const Header& header, Role reader) {
  const bool is_control = header.opcode >= 8 && header.opcode <= 10;
  const bool is_message = header.opcode == 1 || header.opcode == 2;
  if (header.is_rsv_wrong || header.masked != (reader == Role::kServer)) return false;
  if (is_control)
    return header.final && header.payload_bytes <= 125 && header.length_bytes == 0 &&
           !(header.opcode == 8 && header.payload_bytes == 1);
  return is_message && is_shortest(header) && header.payload_bytes <= kMessageBytesMax;
}

// Each piece in memory of its own size.
std::optional<Event> feed(Session& session, Bytes bytes) {
  std::vector<std::byte> memory(bytes.begin(), bytes.end());
  MutableBytes input = memory;
  auto event = session.next(input);
  CHECK(input.empty() || (event && event->kind == Event::Kind::kViolation));
  if (event) event->payload = {};  // it may lie in that memory
  return event;
}

// Byte by byte, and whole: it is wrong by the last byte of its header, or not at all.
void check_reading(Bytes wire, const Header& header, Role role) {
  const SessionLimits limits{.message_bytes_max = kMessageBytesMax};
  Session slow(role, &limits), fast(role, &limits);
  std::optional<Event> event;
  for (std::size_t at = 0; at < header.bytes() && !event; ++at)
    event = feed(slow, wire.subspan(at, 1));
  const auto at_once = feed(fast, wire.first(header.bytes()));
  CHECK(event.has_value() == at_once.has_value());
  if (event) CHECK(event->kind == at_once->kind && event->code == at_once->code);
  if (event && event->kind != Event::Kind::kViolation) {
    CHECK(header.payload_bytes == 0 && header.final);
    event.reset();
  }
  CHECK(is_right(header, role) == !event.has_value());
}

void check_writing(Bytes wire, const Header& header) {
  if (header.payload_bytes >> 63 != 0) return;
  const bool is_control = header.opcode >= 8;
  if (is_control && (!header.final || header.payload_bytes > 125)) return;
  const std::size_t size = frame_header_bytes(header.payload_bytes, header.masked);
  CHECK(size <= kFrameHeaderBytesMax);
  std::array<std::byte, kFrameHeaderBytesMax> room{};
  CHECK(write_frame_header(room.data(), static_cast<Opcode>(header.opcode), header.final,
                           header.payload_bytes, header.masked ? &header.mask : nullptr,
                           header.rsv1) == size);
  const auto again = header_of(Bytes(room).first(size));
  CHECK(again && again->bytes() == size && is_shortest(*again));
  CHECK(again->payload_bytes == header.payload_bytes && again->mask == header.mask);
  CHECK(again->opcode == header.opcode && again->final == header.final);
  CHECK(again->rsv1 == header.rsv1 && again->masked == header.masked);
  // RSV2 and RSV3 cannot be written.
  if (header.is_rsv_wrong && !header.rsv1) return;
  const bool is_same = std::equal(room.begin(), room.begin() + size, wire.begin());
  const bool has_other_bits = (std::to_integer<unsigned>(wire[0]) & 0x30) != 0;
  CHECK(is_same == (is_shortest(header) && !has_other_bits));
}

// However it is cut, and in whatever place it lies.
void check_masking(Bytes payload, const MaskKey& mask) {
  for (std::size_t cut = 0; cut <= payload.size(); cut += 1 + payload.size() / 7) {
    std::vector<std::byte> bytes(payload.begin(), payload.end());
    const MutableBytes all = bytes;
    apply_mask(all.first(cut), mask);
    apply_mask(all.subspan(cut), mask, cut);
    for (std::size_t i = 0; i < bytes.size(); ++i) CHECK(bytes[i] == (payload[i] ^ mask[i % 4]));
  }
}

void check_close(Bytes payload, const Header& header) {
  if (payload.size() < 2) return;
  const auto code = static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8 |
                                               std::to_integer<unsigned>(payload[1]));
  const std::string_view reason = as_text(payload.subspan(2));
  if (!may_be_sent(code) || !is_valid_utf8(as_bytes(reason))) return;
  std::array<std::byte, kCloseFrameBytesMax> out{};
  const std::size_t size =
      write_close_frame(out.data(), code, reason, header.masked ? &header.mask : nullptr);
  const SessionLimits limits;
  Session session(header.masked ? Role::kServer : Role::kClient, &limits);
  MutableBytes input = MutableBytes(out).first(size);
  const auto event = session.next(input);
  CHECK(event && event->kind == Event::Kind::kClose && event->code == code && input.empty());
  CHECK(reason.starts_with(event->reason));
  CHECK(event->reason.size() == reason.size() || event->reason.size() + 4 > kCloseReasonBytesMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const Role role = (data[0] & 1) != 0 ? Role::kServer : Role::kClient;
  const Bytes wire = as_bytes({reinterpret_cast<const char*>(data) + 1, size - 1});
  const auto header = header_of(wire);
  if (!header) return 0;
  check_reading(wire, *header, role);
  check_writing(wire, *header);
  const Bytes payload = wire.subspan(header->bytes());
  check_masking(payload, header->mask);
  check_close(payload, *header);
  if (!header->masked) CHECK(payload_of_frame(wire).data() == payload.data());
  return 0;
}
