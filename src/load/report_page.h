#pragma once

// The report as a page: one file with everything in it, to be opened from a disk or sent by mail.

#include <string>
#include <string_view>

#include "load/report.h"

namespace holdfast::load {

// The page without a report, as it was built from web/report; in the binary.
std::string_view report_page_template();

std::string to_html(const Report& report);
// The same with a given template, which says __HOLDFAST_REPORT__ once, inside a <script
// type="application/json">.
std::string to_html(const Report& report, std::string_view page);

}  // namespace holdfast::load
