#pragma once

// Zeroed memory for secrets: not in core dumps (MADV_DONTDUMP), nor in a child after fork()
// (MADV_WIPEONFORK), nor in swap (mlock(2)) as far as RLIMIT_MEMLOCK allows. Pages are the kernel's
// until they are touched.

#include <cstddef>

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

}  // namespace holdfast::net
