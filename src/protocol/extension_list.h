#pragma once

// The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1), read without knowing any extension.
//
//   extension-list  = 1#extension                       a field may come several times; together
//   extension       = token *( ";" extension-param )    they are one list (RFC 6455 11.3.2)
//   extension-param = token [ "=" (token | quoted-string) ]

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/http_header.h"

namespace holdfast::protocol {

inline constexpr std::string_view kExtensionsField = "Sec-WebSocket-Extensions";

// Walks one field's value, part by part:
//
//   "a, b; x; y=\"1\""  ──►  kExtension a, kExtension b, kParameter x, kParameter y 1, kEnd
//
// Allocates only for a quoted value that has an escape in it. Views live as long as the field.
class ExtensionList {
 public:
  enum class Part : std::uint8_t {
    kExtension,  // name()
    kParameter,  // of the extension before it: name(), and value() when has_value()
    kEnd,
    kMalformed,  // RFC 6455 9.1: the recipient MUST fail the connection. Nothing comes after it
  };

  explicit ExtensionList(std::string_view field) : rest_(field) {}

  Part next();
  std::string_view name() const { return name_; }
  bool has_value() const { return has_value_; }
  // Unquoted; a token, as the grammar wants it. Lives until the next call of next().
  std::string_view value() const { return escaped_ ? std::string_view(unescaped_) : value_; }

 private:
  Part malformed();
  Part take_extension();
  Part take_parameter();
  void skip_white_space();
  std::string_view take_token();
  bool take_value();
  bool take_quoted();
  bool at_boundary();

  std::string_view rest_;
  std::string_view name_;
  std::string_view value_;
  std::string unescaped_;
  bool has_value_ = false;
  bool escaped_ = false;
  bool in_extension_ = false;
  bool broken_ = false;
};

enum class ExtensionsVerdict : std::uint8_t { kNone, kWellFormed, kMalformed };

// All fields of a request or response together: kNone when there is no such field; kMalformed when
// one does not follow the grammar, or all of them are empty.
ExtensionsVerdict judge_extensions(std::span<const HttpHeader> headers);

}  // namespace holdfast::protocol
