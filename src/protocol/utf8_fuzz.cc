// Any bytes, cut in pieces: the incremental check must say of the whole what simdjson says, and
// fail neither before nor after the first byte that cannot belong to valid UTF-8.

#include <simdjson.h>

#include <algorithm>
#include <string>

#include "base/check.h"
#include "protocol/utf8.h"

using holdfast::Bytes;

namespace {

bool is_valid(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// Whether some ending makes it valid: one to three continuation bytes, of which the first may be
// anywhere in 80..BF.
bool is_prefix(const std::string& text) {
  if (is_valid(text)) return true;
  for (char first : {'\x80', '\x90', '\xA0', '\xBF'}) {
    std::string tried = text + first;
    for (int i = 0; i < 3; ++i) {
      if (is_valid(tried)) return true;
      tried += '\x80';
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece_bytes = data[0] % 16 + 1u;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  holdfast::protocol::Utf8Checker checker;
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    const std::size_t end = std::min(at + piece_bytes, text.size());
    const bool good = checker.feed(holdfast::as_bytes(std::string_view(text).substr(at, end - at)));
    CHECK(good == is_prefix(text.substr(0, end)));
  }
  CHECK(checker.complete() == is_valid(text));
  return 0;
}
