#pragma once

#include "base/bytes.h"

namespace holdfast::net {

// Fills with bytes that nobody can foresee (getrandom(2)). Any thread.
void fill_random(MutableBytes bytes);

}  // namespace holdfast::net
