#pragma once

// Views of bytes that may be written to, beside the face's read-only ones. Neither owns anything;
// whoever hands one out says how long it lives.

#include <cstdint>

#include "holdfast/bytes.h"

namespace holdfast {

using MutableBytes = std::span<std::byte>;

}  // namespace holdfast
