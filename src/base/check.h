#pragma once

// CHECK: an assertion that stays on in release builds. It guards what only Holdfast's own code can
// get wrong; what a peer, an operator or the operating system can get wrong is a value (see
// result.h), never a CHECK.

#include <cstdio>
#include <cstdlib>

namespace holdfast {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "holdfast: CHECK failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace holdfast

// Aborts the process with the condition's text when `condition` is false. Usable from any thread.
#define CHECK(condition)                             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::holdfast::check_failed(#condition, __FILE__, __LINE__))
