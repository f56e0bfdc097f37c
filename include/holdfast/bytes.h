#pragma once

// Views of bytes. Neither owns anything; whoever hands one out says how long it lives.

#include <cstddef>
#include <span>
#include <string_view>

namespace holdfast {

using Bytes = std::span<const std::byte>;

// The same memory seen as bytes or as text. No copy, no check of the encoding.
inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace holdfast
