#pragma once

// What a peer, an operator or the operating system may do wrong is a value. No exception crosses a
// room.

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace holdfast {

// A failure told to a person: what was asked, what was met, what would be right. `code` is an
// errno, or 0.
struct Error {
  std::string message;
  int code = 0;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string message, int code = 0) {
  return tl::unexpected<Error>(Error{std::move(message), code});
}

}  // namespace holdfast
