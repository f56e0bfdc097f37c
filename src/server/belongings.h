#pragma once

// What few peers have: a name that was handed out, and data that their handler keeps.
//
// Two arrays by descriptor number, made when the first peer of the worker needs one; their pages
// are touched only where a peer does. A row's serial is 0 until its peer's id is asked for, so an
// id of an earlier peer never fits the present one.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/time.h"
#include "holdfast/peer.h"
#include "server/naming_times.h"

namespace holdfast::server {

// Used by one thread.
class Belongings {
 public:
  // `worker` is this worker's number in the ids; `descriptors` bounds their numbers.
  Belongings(std::uint32_t worker, std::uint32_t descriptors)
      : worker_(worker), descriptors_(descriptors) {}
  ~Belongings();
  Belongings(const Belongings&) = delete;
  Belongings& operator=(const Belongings&) = delete;

  // A peer without a name gets one `now`.
  PeerId id(int descriptor, Instant now);
  // How long ago that was; nothing where it has none yet.
  std::optional<Duration> named_for(int descriptor, Instant now) const;
  // Whether `id` names whoever has its descriptor now.
  bool is_present(PeerId id) const;

  std::unique_ptr<Kept>& data(int descriptor);
  Kept* find_data(int descriptor) const {
    return data_ == nullptr ? nullptr : data_.get()[descriptor].get();
  }

  // The peer is gone: its id names nobody any more, its data is destroyed.
  void forget(int descriptor) {
    if (serials_ != nullptr && serials_.get()[descriptor] != 0) serials_.get()[descriptor] = 0;
    if (data_ != nullptr && data_.get()[descriptor] != nullptr) data_.get()[descriptor].reset();
  }

 private:
  template <class T>
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  template <class T>
  using Rows = std::unique_ptr<T, Free<T>>;

  std::uint32_t worker_;
  std::uint32_t descriptors_;
  std::uint32_t last_serial_ = 0;
  NamingTimes times_;
  std::uint32_t data_end_ = 0;  // every row with data lies below
  Rows<std::uint32_t> serials_;
  Rows<std::unique_ptr<Kept>> data_;
};

}  // namespace holdfast::server
