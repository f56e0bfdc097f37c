#pragma once

// The process's heap.

namespace holdfast {

// Gives what is free in the C library's heap back to the machine, as malloc_trim(3) does, and what
// it keeps for the calling thread with it. It walks through all of the heap and takes some 100 µs
// at least: for the end of a storm, not for every day. Any thread.
void give_back_free_memory();

}  // namespace holdfast
