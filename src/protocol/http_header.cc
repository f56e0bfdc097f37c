#include "protocol/http_header.h"

#include <algorithm>

namespace holdfast::protocol {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// RFC 9110 5.6.3: optional white space is spaces and tabs.
constexpr std::string_view kWhiteSpace = " \t";

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";  // beside letters and digits

bool is_token_character(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         kTokenMarks.find(c) != std::string_view::npos;
}

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
