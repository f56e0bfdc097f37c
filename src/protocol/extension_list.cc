#include "protocol/extension_list.h"

#include "protocol/http_header.h"

namespace holdfast::protocol {

ExtensionList::Part ExtensionList::next() {
  escaped_ = false;
  has_value_ = false;
  if (broken_) return Part::kMalformed;
  skip_white_space();
  if (in_extension_ && !rest_.empty() && rest_.front() == ';') return take_parameter();
  in_extension_ = false;
  return take_extension();
}

// RFC 9110 5.6.1.2: a recipient reads over empty elements of a list.
ExtensionList::Part ExtensionList::take_extension() {
  while (!rest_.empty() && rest_.front() == ',') {
    rest_.remove_prefix(1);
    skip_white_space();
  }
  if (rest_.empty()) return Part::kEnd;
  name_ = take_token();
  if (name_.empty() || !at_boundary()) return malformed();
  in_extension_ = true;
  return Part::kExtension;
}

ExtensionList::Part ExtensionList::take_parameter() {
  rest_.remove_prefix(1);
  skip_white_space();
  name_ = take_token();
  skip_white_space();
  if (name_.empty()) return malformed();
  if (!rest_.empty() && rest_.front() == '=') {
    rest_.remove_prefix(1);
    skip_white_space();
    if (!take_value()) return malformed();
    has_value_ = true;
  }
  return at_boundary() ? Part::kParameter : malformed();
}

bool ExtensionList::take_value() {
  if (!rest_.empty() && rest_.front() == '"') return take_quoted();
  value_ = take_token();
  return !value_.empty();
}

// RFC 6455 9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF", so no
// quoted comma or semicolon can occur.
bool ExtensionList::take_quoted() {
  rest_.remove_prefix(1);
  const std::string_view from = rest_;
  while (!rest_.empty() && rest_.front() != '"') {
    if (rest_.front() == '\\') {
      if (!escaped_) unescaped_ = from.substr(0, from.size() - rest_.size());
      escaped_ = true;
      rest_.remove_prefix(1);
    }
    if (rest_.empty() || !is_token_character(rest_.front())) return false;
    if (escaped_) unescaped_.push_back(rest_.front());
    rest_.remove_prefix(1);
  }
  if (rest_.empty()) return false;
  value_ = from.substr(0, from.size() - rest_.size());
  rest_.remove_prefix(1);
  return !value_.empty();
}

bool ExtensionList::at_boundary() {
  skip_white_space();
  return rest_.empty() || rest_.front() == ',' || rest_.front() == ';';
}

void ExtensionList::skip_white_space() {
  while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
}

std::string_view ExtensionList::take_token() {
  std::size_t size = 0;
  while (size < rest_.size() && is_token_character(rest_[size])) ++size;
  const std::string_view token = rest_.substr(0, size);
  rest_.remove_prefix(token.size());
  return token;
}

ExtensionList::Part ExtensionList::malformed() {
  broken_ = true;
  return Part::kMalformed;
}

ExtensionsVerdict judge_extensions(std::span<const HttpHeader> headers) {
  bool any_field = false;
  bool any_extension = false;
  for (const auto& [name, value] : headers) {
    if (!equals_ignoring_case(name, kExtensionsField)) continue;
    any_field = true;
    ExtensionList list(value);
    for (auto part = list.next(); part != ExtensionList::Part::kEnd; part = list.next()) {
      if (part == ExtensionList::Part::kMalformed) return ExtensionsVerdict::kMalformed;
      any_extension = true;
    }
  }
  if (!any_field) return ExtensionsVerdict::kNone;
  return any_extension ? ExtensionsVerdict::kWellFormed : ExtensionsVerdict::kMalformed;
}

}  // namespace holdfast::protocol
