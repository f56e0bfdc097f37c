#include "topics/subscriber_set.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace holdfast::topics {

SubscriberSet::~SubscriberSet() {
  if (room_ == kMany) {
    roaring_bitmap_free(many_);
  } else if (room_ != 0) {
    std::free(few_);
  }
}

// Room for one more, in the next larger form where this one is full.
void SubscriberSet::grow() {
  const std::uint32_t room = room_ == 0 ? kHere : room_;
  if (count_ < room) return;
  if (room >= kFewMax) {
    roaring_bitmap_t* many = roaring_bitmap_of_ptr(count_, few_);
    CHECK(many != nullptr);
    std::free(few_);
    many_ = many;
    room_ = kMany;
    return;
  }
  auto* larger = static_cast<std::uint32_t*>(std::malloc(2 * room * sizeof(std::uint32_t)));
  CHECK(larger != nullptr);
  std::copy_n(few(), count_, larger);
  if (room_ != 0) std::free(few_);
  few_ = larger;
  room_ = 2 * room;
}

bool SubscriberSet::add(std::uint32_t subscriber) {
  if (room_ == kMany) return roaring_bitmap_add_checked(many_, subscriber);
  const std::uint32_t* place = std::lower_bound(few(), few() + count_, subscriber);
  if (place != few() + count_ && *place == subscriber) return false;
  const auto at = static_cast<std::uint32_t>(place - few());
  grow();
  if (room_ == kMany) return roaring_bitmap_add_checked(many_, subscriber);
  std::copy_backward(few() + at, few() + count_, few() + count_ + 1);
  few()[at] = subscriber;
  ++count_;
  return true;
}

bool SubscriberSet::remove(std::uint32_t subscriber) {
  if (room_ == kMany) return roaring_bitmap_remove_checked(many_, subscriber);
  std::uint32_t* end = few() + count_;
  std::uint32_t* place = std::lower_bound(few(), end, subscriber);
  if (place == end || *place != subscriber) return false;
  std::copy(place + 1, end, place);
  --count_;
  return true;
}

bool SubscriberSet::contains(std::uint32_t subscriber) const {
  if (room_ == kMany) return roaring_bitmap_contains(many_, subscriber);
  return std::binary_search(few(), few() + count_, subscriber);
}

std::uint64_t SubscriberSet::size() const {
  return room_ == kMany ? roaring_bitmap_get_cardinality(many_) : count_;
}

}  // namespace holdfast::topics
