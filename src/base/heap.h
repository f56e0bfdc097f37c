#pragma once

// The process's heap.

#include <malloc.h>

namespace holdfast {

// Gives what is free in the C library's heap back to the machine: malloc_trim(3) without padding.
// It walks through all of the heap, so not often. Any thread.
//
// The first call in a process is made alone. Where malloc is not glibc's (a sanitizer's, or one
// that an application links), nothing has set glibc's up before; its malloc_trim() then does so
// without a lock, and of the threads that come into it together each holds itself for the main
// arena's one owner: when the second of them ends, glibc aborts.
inline void give_back_free_memory() {
  [[maybe_unused]] static const int set_up = malloc_trim(0);
  malloc_trim(0);
}

}  // namespace holdfast
