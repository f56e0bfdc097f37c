#include "pusher/query.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace holdfast::pusher {
std::string percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
      continue;
    }
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* digits = text.data() + i + 1;
      if (std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
        decoded += static_cast<char>(value);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

Query parse_query(std::string_view query) {
  Query parameters;
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), field.size() + 1));
    const std::size_t equals = std::min(field.find('='), field.size());
    std::string name = percent_decode(field.substr(0, equals));
    if (name.empty()) continue;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    parameters[std::move(name)] = percent_decode(field.substr(std::min(field.size(), equals + 1)));
  }
  return parameters;
}

}  // namespace holdfast::pusher
