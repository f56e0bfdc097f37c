#pragma once

// UTF-8 (RFC 3629), checked as it arrives.

#include <cstdint>

#include "base/bytes.h"

namespace holdfast::protocol {

// Is this text, so far, the beginning of valid UTF-8? Fails at the first byte that no continuation
// can mend: overlong forms, surrogates, code points above U+10FFFF, stray and missing continuation
// bytes, wherever the text is split. Four bytes of state, nothing owned.
class Utf8Checker {
 public:
  // False as soon as all that was fed cannot be a prefix of valid UTF-8; then false until reset().
  bool feed(Bytes bytes);
  // Whether what was fed is valid as it stands: nothing failed and no character is cut.
  bool complete() const { return !failed_ && missing_ == 0; }
  void reset() { *this = Utf8Checker(); }

 private:
  bool step(std::uint8_t byte);

  // The character that is open: how many of its bytes are missing, and in which bounds the next one
  // must lie.
  std::uint8_t missing_ = 0;
  std::uint8_t low_ = 0;
  std::uint8_t high_ = 0;
  bool failed_ = false;
};
static_assert(sizeof(Utf8Checker) == 4);

// The same question for a whole text.
bool is_valid_utf8(Bytes bytes);

}  // namespace holdfast::protocol
