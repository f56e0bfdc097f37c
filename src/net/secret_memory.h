#pragma once

// Zeroed memory for secrets: not in core dumps (MADV_DONTDUMP), nor in a child after fork()
// (MADV_WIPEONFORK), nor in swap (mlock(2)) as far as RLIMIT_MEMLOCK allows. Pages are the kernel's
// until they are touched.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <vector>

namespace holdfast::net {

class SecretMemory {
 public:
  explicit SecretMemory(std::size_t size);
  ~SecretMemory();
  SecretMemory(const SecretMemory&) = delete;
  SecretMemory& operator=(const SecretMemory&) = delete;

  std::byte* data() const { return data_; }
  // The first `size` bytes are about to be used.
  void lock_up_to(std::size_t size);
  // All that was asked for is locked.
  bool is_locked() const { return may_lock_; }

 private:
  std::byte* data_;
  std::size_t size_;
  std::size_t locked_ = 0;
  bool may_lock_ = true;
};

// The same for small things, in chunks that an allocator asks for. Used by one thread.
class SecretResource final : public std::pmr::memory_resource {
 public:
  bool is_locked() const {
    return std::all_of(chunks_.begin(), chunks_.end(),
                       [](const auto& chunk) { return chunk->is_locked(); });
  }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::vector<std::unique_ptr<SecretMemory>> chunks_;
};

}  // namespace holdfast::net
