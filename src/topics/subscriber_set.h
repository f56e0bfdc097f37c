#pragma once

// The subscribers of one topic, in 16 bytes and what few or many of them take beyond: most topics
// have one or two.
//
//   up to 2: in place ── up to 64: an array ── more: a compressed bitmap
//
// The bitmap takes 2 bytes for each, or 8 KiB for 65,536 numbers where there are many.

#include <cstdint>
#include <utility>

#include <roaring/roaring.h>

namespace holdfast::topics {

// Used by one thread.
class SubscriberSet {
 public:
  SubscriberSet() noexcept : here_{} {}
  SubscriberSet(SubscriberSet&& other) noexcept : SubscriberSet() { swap(other); }
  SubscriberSet& operator=(SubscriberSet&& other) noexcept {
    SubscriberSet moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~SubscriberSet();

  // False when it was in already, or not.
  bool add(std::uint32_t subscriber);
  bool remove(std::uint32_t subscriber);

  bool contains(std::uint32_t subscriber) const;
  std::uint64_t size() const;
  bool is_empty() const { return room_ == kMany ? roaring_bitmap_is_empty(many_) : count_ == 0; }

  // Calls visit(subscriber) for each, in rising order. `visit` changes nothing here.
  template <class Visit>
  void for_each(Visit& visit) const {
    if (room_ == kMany) {
      roaring_iterate(
          many_,
          [](std::uint32_t subscriber, void* argument) {
            (*static_cast<Visit*>(argument))(subscriber);
            return true;
          },
          &visit);
      return;
    }
    const std::uint32_t* subscribers = few();
    for (std::uint32_t i = 0; i < count_; ++i) visit(subscribers[i]);
  }

 private:
  static constexpr std::uint32_t kHere = 2;
  static constexpr std::uint32_t kFewMax = 64;
  static constexpr std::uint32_t kMany = 0xFFFFFFFF;

  std::uint32_t* few() { return room_ == 0 ? here_ : few_; }
  const std::uint32_t* few() const { return room_ == 0 ? here_ : few_; }
  void grow();
  void swap(SubscriberSet& other) noexcept {
    std::swap(bits_, other.bits_);
    std::swap(count_, other.count_);
    std::swap(room_, other.room_);
  }

  union {
    std::uint32_t here_[kHere];  // room_ 0, sorted
    std::uint32_t* few_;         // room_ numbers, sorted
    roaring_bitmap_t* many_;     // room_ kMany
    std::uint64_t bits_;
  };
  std::uint32_t count_ = 0;  // but of many
  std::uint32_t room_ = 0;
};
static_assert(sizeof(SubscriberSet) == 16);

}  // namespace holdfast::topics
