#include "protocol/event_stream.h"

#include <algorithm>

#include "protocol/http_header.h"

namespace holdfast::protocol {
namespace {

constexpr std::string_view kId = "id: ";
constexpr std::string_view kData = "data: ";
constexpr std::string_view kLineEnd = "\n";

// Calls write(part) with what the event consists of, in order.
template <class Write>
void compose(std::string_view id, std::string_view text, Write write) {
  if (!id.empty() && is_field_value(id)) {
    write(kId);
    write(id);
    write(kLineEnd);
  }
  for (bool more = true; more;) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    write(kData);
    write(text.substr(0, end));
    write(kLineEnd);
    more = end < text.size();
    if (more) text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  write(kLineEnd);
}

}  // namespace

std::size_t event_bytes(std::string_view id, std::string_view text) {
  std::size_t bytes = 0;
  compose(id, text, [&bytes](std::string_view part) { bytes += part.size(); });
  return bytes;
}

void write_event(std::byte* out, std::string_view id, std::string_view text) {
  compose(id, text, [&out](std::string_view part) {
    const Bytes bytes = as_bytes(part);
    out = std::copy(bytes.begin(), bytes.end(), out);
  });
}

}  // namespace holdfast::protocol
