#pragma once

#include <cstring>
#include <string_view>

namespace holdfast::load {

// "ECONNRESET": the errno's name, which reads the same everywhere. Static text.
inline std::string_view error_name(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? "unknown error" : name;
}

}  // namespace holdfast::load
