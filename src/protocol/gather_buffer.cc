#include "protocol/gather_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace holdfast::protocol {

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
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
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
