#pragma once

#include <string_view>

namespace holdfast::admin {

// The dashboard, web/dashboard, as one HTML file that needs nothing else. Embedded at build time.
std::string_view dashboard_page();

}  // namespace holdfast::admin
