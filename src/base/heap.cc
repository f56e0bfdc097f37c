#include "base/heap.h"

#include <malloc.h>

#include <array>
#include <cstddef>
#include <cstdlib>

#include "base/thread.h"

namespace holdfast {
namespace {

// glibc's defaults: a thread keeps so many freed blocks of each size, up to the largest.
constexpr std::size_t kKeptOfOneSize = 7;
constexpr std::size_t kKeptSmallest = 24, kKeptLargest = 1032, kKeptStep = 16;
constexpr std::size_t kKeptSizes = (kKeptLargest - kKeptSmallest) / kKeptStep + 1;

// Blocks that are kept for a thread count as used. Where they lie scattered among what is free,
// each holds a page of it. Only a thread's end gives them up; so they are taken out, and a thread
// that ends frees them.
void empty_thread_cache() {
  std::array<void*, kKeptSizes * kKeptOfOneSize> blocks;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    blocks[i] = std::malloc(kKeptSmallest + i / kKeptOfOneSize * kKeptStep);
  const auto free_all = [&blocks] {
    for (void* block : blocks) std::free(block);
  };
  if (auto thread = start_thread(free_all)) {
    thread->join();
  } else {
    free_all();  // they are kept
  }
}

}  // namespace

void give_back_free_memory() {
  // The first call in a process is made alone. Where malloc is not glibc's (a sanitizer's, or one
  // that an application links), nothing has set glibc's up before; malloc_trim() then does so
  // without a lock, and of the threads that come into it together each holds itself for the main
  // arena's one owner: when the second of them ends, glibc aborts.
  [[maybe_unused]] static const int set_up = malloc_trim(0);
  empty_thread_cache();
  malloc_trim(0);
}

}  // namespace holdfast
