#pragma once

#include <map>
#include <string>
#include <string_view>

namespace holdfast::pusher {

// Percent-decoded; '+' is a space. What is no %XX stays as it is.
std::string percent_decode(std::string_view text);

// A request's parameters: names in lower case and sorted, values percent-decoded, '+' a space. Of a
// name that comes twice the last value.
using Query = std::map<std::string, std::string, std::less<>>;

Query parse_query(std::string_view query);

}  // namespace holdfast::pusher
