#include "base/heap.h"

#include <gtest/gtest.h>

#include <malloc.h>

#include <barrier>
#include <cstdlib>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

// Where glibc's malloc has not been in use, as under a sanitizer, it aborts when threads have set
// it up together. This must be the first in its process to ask, which it is in this program.
TEST(Heap, ThreadsMayGiveBackTogether) {
  constexpr int kThreads = 16;
  std::barrier ready(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ready.arrive_and_wait();
      give_back_free_memory();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A sanitizer's malloc keeps things in its own way.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST(Heap, WhatIsKeptForAThreadGoesToo) {
  std::thread([] {
    const std::size_t before = mallinfo2().uordblks;
    std::vector<void*> blocks;
    for (std::size_t size = 24; size <= 1032; size += 16) {
      for (int i = 0; i < 7; ++i) blocks.push_back(std::malloc(size));
    }
    for (void* block : blocks) std::free(block);
    blocks = {};
    const std::size_t kept = mallinfo2().uordblks - before;
    EXPECT_GT(kept, 200'000U);
    give_back_free_memory();
    EXPECT_LT(mallinfo2().uordblks, before + kept / 8);
  }).join();
}

#endif

}  // namespace
}  // namespace holdfast
