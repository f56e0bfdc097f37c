#pragma once

// A report as JSON: for people, for scripts, and to be read again by `holdfast report`.
//
// Times are whole nanoseconds ("…_ns"). A histogram has its percentiles for the eye and its
// HdrHistogram V2 log encoding, in microseconds, for adding up ("hdr").

#include <string>
#include <string_view>

#include "base/result.h"
#include "load/report.h"

namespace holdfast::load {

inline constexpr int kReportFormat = 1;

std::string to_json(const Report& report);
// The same without what only a program needs, in one line: for the page.
std::string to_page_json(const Report& report);
// The error says what is not as it should be.
Result<Report> report_from_json(std::string_view text);

}  // namespace holdfast::load
