#pragma once

// What a Session keeps of a message that did not arrive whole.

#include <cstddef>
#include <utility>

#include "base/bytes.h"

namespace holdfast::protocol {

// A growing byte buffer, uninitialised beyond its size. Empty, it owns no memory. It grows by
// doubling what it has, so that its memory follows what a peer sent, not what the peer announced.
class GatherBuffer {
 public:
  GatherBuffer() = default;
  GatherBuffer(GatherBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  GatherBuffer& operator=(GatherBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~GatherBuffer() {
    if (data_ != nullptr) release();
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  // Appends a copy and returns where it lies until the next append. `size_max` is the largest size
  // that may ever be needed: the buffer does not grow past it for nothing.
  MutableBytes append(Bytes bytes, std::size_t size_max);
  // The bytes from `begin` to the end; they live until the next append, truncate or release.
  MutableBytes from(std::size_t begin) { return {data_ + begin, size_ - begin}; }
  // Forgets the bytes from `size` on; keeps the memory unless nothing is left.
  void truncate(std::size_t size);
  // Frees the memory.
  void release();

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};
static_assert(sizeof(GatherBuffer) == 24);

}  // namespace holdfast::protocol
