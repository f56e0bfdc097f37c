#pragma once

// An immutable, reference-counted buffer: one publication, shared by every connection that has to
// send it.

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast {

// A handle of one pointer. Copies share the bytes; the last one frees them. Counting is atomic, so
// handles may go to other threads; the bytes may be written only through mutable_bytes(), before
// the first copy is made.
class SharedBytes {
 public:
  SharedBytes() = default;
  // Allocates `size` uninitialised bytes. One allocation: 16 bytes of header, then the bytes.
  static SharedBytes allocate(std::size_t size) {
    void* memory = std::malloc(sizeof(Header) + size);
    CHECK(memory != nullptr);
    SharedBytes result;
    result.header_ = new (memory) Header{{1}, static_cast<std::uint32_t>(size)};
    CHECK(result.header_->size == size);
    return result;
  }
  static SharedBytes copy_of(Bytes bytes) {
    SharedBytes result = allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }

  SharedBytes(const SharedBytes& other) : header_(other.header_) {
    if (header_ != nullptr) header_->references.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~SharedBytes() {
    if (header_ != nullptr && header_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::free(header_);
    }
  }

  explicit operator bool() const { return header_ != nullptr; }
  std::size_t size() const { return header_ == nullptr ? 0 : header_->size; }
  Bytes bytes() const { return {data(), size()}; }
  // Only while this is the sole handle.
  MutableBytes mutable_bytes() { return {data(), size()}; }

 private:
  struct Header {
    std::atomic<std::uint32_t> references;
    std::uint32_t size;
    std::uint64_t padding = 0;
  };
  static_assert(sizeof(Header) == 16);

  std::byte* data() const { return reinterpret_cast<std::byte*>(header_ + 1); }

  Header* header_ = nullptr;
};

}  // namespace holdfast
