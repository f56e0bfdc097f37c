#pragma once

// Header fields and their values, as views (RFC 9110 5).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace holdfast::protocol {

// One field. The value has no white space around it.
struct HttpHeader {
  std::string_view name;
  std::string_view value;
};

// Bounds of one HTTP message.
struct HttpLimits {
  std::uint32_t head_bytes_max =
      8192;                         // start line and headers, with the empty line: beyond it, 431
  std::uint32_t headers_max = 100;  // fields: beyond it, 431
  std::uint64_t body_bytes_max = 65536;  // decoded: beyond it, 413
  // A path that takes larger bodies says so here; asked only for a body that may be larger. Of
  // requests alone.
  std::function<std::uint64_t(std::string_view path)> body_bytes_max_at = {};
};

// Without the spaces and tabs around it.
std::string_view trim(std::string_view text);

// Whether `text` is a token (RFC 9110 5.6.2), as the name of a field must be.
bool is_token(std::string_view text);

// Whether `text` may be sent as a field's value: no control character but the tab, so that it
// cannot end its line (RFC 9110 5.5).
bool is_field_value(std::string_view text);

// Whether `text` may stand before the colon of a field, a character at a time.
bool is_token_character(char c);

// Whether `text` is a Host field's value (RFC 9112 3.2): a name or an address in brackets, and
// perhaps a port; or nothing.
bool is_host(std::string_view text);

// Compares as field names and most tokens are compared: ASCII letters without case.
bool equals_ignoring_case(std::string_view a, std::string_view b);

// The elements of a comma-separated list, each without white space around it; empty ones are left
// out (RFC 9110 5.6.1). A view: it allocates nothing and lives as long as the text.
//
//   for (std::string_view token : Tokens("keep-alive, Upgrade")) …
class Tokens {
 public:
  explicit Tokens(std::string_view list) : list_(list) {}

  class Iterator {
   public:
    explicit Iterator(std::string_view rest) : rest_(rest) { ++*this; }
    Iterator() = default;
    std::string_view operator*() const { return token_; }
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return token_.data() == other.token_.data(); }

   private:
    std::string_view token_;  // without data: the end
    std::string_view rest_;
  };
  Iterator begin() const { return Iterator(list_); }
  Iterator end() const { return {}; }

 private:
  std::string_view list_;
};

// Whether the comma-separated list names `token`, without regard to case.
bool lists_token(std::string_view list, std::string_view token);

// The value of the first field of that name, or null. Names are compared without case.
const HttpHeader* find_header(std::span<const HttpHeader> headers, std::string_view name);

}  // namespace holdfast::protocol
