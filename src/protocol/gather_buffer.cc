#include "protocol/gather_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace holdfast::protocol {
namespace {

// glibc copies what is longer (where it has AVX, twice or four times as long) by `rep movsb`. On
// AMD's that is up to three times as slow as its loops of vectors, above all where source and
// target lie differently to a cache line, as a payload behind its header does.
constexpr std::size_t kCopyBytesMax = 2048;

void copy(std::byte* to, Bytes from) {
  while (!from.empty()) {
    const std::size_t size = std::min(from.size(), kCopyBytesMax);
    std::memcpy(to, from.data(), size);
    to += size;
    from = from.subspan(size);
  }
}

}  // namespace

MutableBytes GatherBuffer::append(Bytes bytes, std::size_t size_max) {
  const std::size_t needed = size_ + bytes.size();
  if (needed > capacity_) {
    const std::size_t capacity = std::max(needed, std::min(2 * capacity_, size_max));
    // realloc, because the kernel can move the pages of a large message without copying them.
    auto* moved = static_cast<std::byte*>(std::realloc(data_, capacity));
    CHECK(moved != nullptr);
    data_ = moved;
    capacity_ = capacity;
  }
  std::byte* const at = data_ + size_;
  copy(at, bytes);
  size_ = needed;
  return {at, bytes.size()};
}

void GatherBuffer::truncate(std::size_t size) {
  CHECK(size <= size_);
  size_ = size;
  if (size_ == 0) release();
}

void GatherBuffer::release() {
  std::free(data_);
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

}  // namespace holdfast::protocol
