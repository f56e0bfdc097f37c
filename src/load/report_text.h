#pragma once

#include <string>

#include "load/report.h"

namespace holdfast::load {

// The report for a person at a terminal: at most 100 columns, lines ended by '\n'.
std::string to_text(const Report& report);

}  // namespace holdfast::load
