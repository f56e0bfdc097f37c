#include "net/secret_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

namespace holdfast::net {
namespace {

// One system call for so many bytes.
constexpr std::size_t kLockStep = 64 * 1024;

}  // namespace

SecretMemory::SecretMemory(std::size_t size)
    : size_((size + kLockStep - 1) / kLockStep * kLockStep) {
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  data_ = static_cast<std::byte*>(memory);
  madvise(memory, size_, MADV_DONTDUMP);
  madvise(memory, size_, MADV_WIPEONFORK);
  // A huge page would be touched by its first peer.
  madvise(memory, size_, MADV_NOHUGEPAGE);
}

SecretMemory::~SecretMemory() { munmap(data_, size_); }

void SecretMemory::lock_up_to(std::size_t size) {
  while (may_lock_ && locked_ < size) {
    const std::size_t step = std::min(kLockStep, size_ - locked_);
    may_lock_ = mlock2(data_ + locked_, step, MLOCK_ONFAULT) == 0;
    if (may_lock_) locked_ += step;
  }
}

// A mapping each: they are few. Its pages fit any alignment that a type may have.
void* SecretResource::do_allocate(std::size_t bytes, std::size_t /*alignment*/) {
  chunks_.push_back(std::make_unique<SecretMemory>(bytes));
  chunks_.back()->lock_up_to(bytes);
  return chunks_.back()->data();
}

void SecretResource::do_deallocate(void* memory, std::size_t /*bytes*/, std::size_t /*alignment*/) {
  std::erase_if(chunks_, [memory](const auto& chunk) { return chunk->data() == memory; });
}

}  // namespace holdfast::net
