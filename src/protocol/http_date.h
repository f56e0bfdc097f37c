#pragma once

#include <cstdint>
#include <string>

namespace holdfast::protocol {

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7, IMF-fixdate) of so many seconds since 1970;
// years 1970 to 9999.
std::string http_date(std::int64_t unix_seconds);

}  // namespace holdfast::protocol
