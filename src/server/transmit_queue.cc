#include "server/transmit_queue.h"

#include <cstdlib>

#include "base/check.h"

namespace holdfast::server {
namespace {

// What a quiet worker keeps from a busy turn.
constexpr std::size_t kKeptEntries = 4096;

template <class T>
void clear_and_trim(std::vector<T>& vector) {
  if (vector.capacity() > kKeptEntries) {
    std::vector<T>().swap(vector);
  } else {
    vector.clear();
  }
}

}  // namespace

TransmitQueue::TransmitQueue(std::uint32_t descriptors)
    : tails_(static_cast<std::uint32_t*>(std::calloc(descriptors, sizeof(std::uint32_t)))) {
  CHECK(tails_ != nullptr);
}

TransmitQueue::~TransmitQueue() { std::free(tails_); }

std::byte* TransmitQueue::reserve(std::size_t size) {
  if (chunk_ == nullptr) chunk_.reset(new std::byte[kChunkBytes]);
  if (chunk_used_ + size <= kChunkBytes) {
    std::byte* at = chunk_.get() + chunk_used_;
    chunk_used_ += size;
    return at;
  }
  if (more_left_ < size) {
    more_left_ = std::max(size, 4 * kChunkBytes);
    more_.emplace_back(new std::byte[more_left_]);
    more_at_ = more_.back().get();
  }
  std::byte* at = more_at_;
  more_at_ += size;
  more_left_ -= size;
  return at;
}

std::int32_t TransmitQueue::hold(Held held) {
  held_.push_back(std::move(held));
  return static_cast<std::int32_t>(held_.size() - 1);
}

void TransmitQueue::push(int descriptor, bool first, Bytes bytes, std::int32_t shared) {
  const auto index = static_cast<std::uint32_t>(pieces_.size());
  std::uint32_t& tail = tails_[descriptor];
  if (first) {
    peers_.push_back(descriptor);
    pieces_.push_back({bytes, shared, index});
  } else {
    pieces_.push_back({bytes, shared, pieces_[tail].next});
    pieces_[tail].next = index;
  }
  tail = index;
}

void TransmitQueue::clear() {
  clear_and_trim(peers_);
  clear_and_trim(pieces_);
  held_.clear();
  more_.clear();
  more_left_ = 0;
  chunk_used_ = 0;
}

}  // namespace holdfast::server
