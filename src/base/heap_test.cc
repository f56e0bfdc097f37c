#include "base/heap.h"

#include <gtest/gtest.h>

#include <barrier>
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

}  // namespace
}  // namespace holdfast
