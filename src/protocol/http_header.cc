#include "protocol/http_header.h"

#include <algorithm>
#include <array>

namespace holdfast::protocol {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// RFC 9110 5.6.3: optional white space is spaces and tabs.
constexpr std::string_view kWhiteSpace = " \t";

using CharacterSet = std::array<bool, 256>;

constexpr CharacterSet letters_digits_and(std::string_view marks) {
  CharacterSet set{};
  for (int c = '0'; c <= '9'; ++c) set[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) set[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) set[static_cast<std::size_t>(c)] = true;
  for (const char c : marks) set[static_cast<unsigned char>(c)] = true;
  return set;
}

// RFC 9110 5.6.2: tchar.
constexpr CharacterSet kTokenCharacters = letters_digits_and("!#$%&'*+-.^_`|~");
// RFC 3986 3.2.2: a registered name has unreserved characters, sub-delimiters and what is
// percent-encoded.
constexpr CharacterSet kNameCharacters = letters_digits_and("-._~!$&'()*+,;=%");

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_character(char c) { return kNameCharacters[static_cast<unsigned char>(c)]; }

bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= ' ' && byte != 0x7F) || c == '\t';
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return text.substr(0, 0);
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) + 1 - begin);
}

bool is_token_character(char c) { return kTokenCharacters[static_cast<unsigned char>(c)]; }

bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    for (const char c : text.substr(1, end - 1)) {
      if (!is_name_character(c) && c != ':') return false;
    }
    text.remove_prefix(end + 1);
  } else {
    const auto end = std::find_if_not(text.begin(), text.end(), is_name_character);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
  if (text.empty()) return true;
  return text.front() == ':' && std::all_of(text.begin() + 1, text.end(), is_digit);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_value_character);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

Tokens::Iterator& Tokens::Iterator::operator++() {
  while (!rest_.empty()) {
    const std::size_t comma = rest_.find(',');
    token_ = trim(rest_.substr(0, comma));
    rest_ = comma == std::string_view::npos ? std::string_view() : rest_.substr(comma + 1);
    if (!token_.empty()) return *this;
  }
  token_ = {};
  return *this;
}

bool lists_token(std::string_view list, std::string_view token) {
  for (std::string_view one : Tokens(list)) {
    if (equals_ignoring_case(one, token)) return true;
  }
  return false;
}

const HttpHeader* find_header(std::span<const HttpHeader> headers, std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (equals_ignoring_case(header.name, name)) return &header;
  }
  return nullptr;
}

}  // namespace holdfast::protocol
