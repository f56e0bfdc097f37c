#include "server/belongings.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::server {

static_assert(sizeof(std::unique_ptr<Kept>) == sizeof(void*),
              "a row is a pointer, and all zero is one to nothing");

Belongings::~Belongings() {
  for (std::uint32_t i = 0; i < data_end_; ++i) data_.get()[i].reset();
}

PeerId Belongings::id(int descriptor, Instant now) {
  if (serials_ == nullptr) {
    // calloc: fresh zero pages, which cost nothing until they are written to.
    serials_.reset(static_cast<std::uint32_t*>(std::calloc(descriptors_, sizeof(std::uint32_t))));
    CHECK(serials_ != nullptr);
  }
  std::uint32_t& serial = serials_.get()[descriptor];
  if (serial == 0) {
    if (++last_serial_ == 0) ++last_serial_;  // 0 is nobody
    serial = last_serial_;
    times_.note(serial, now);
  }
  return {worker_, static_cast<std::uint32_t>(descriptor), serial};
}

std::optional<Duration> Belongings::named_for(int descriptor, Instant now) const {
  const std::uint32_t serial = serials_ == nullptr ? 0 : serials_.get()[descriptor];
  const Instant then = serial == 0 ? Instant() : times_.when(serial);
  return then == Instant() ? std::nullopt : std::optional(now - then);
}

bool Belongings::is_present(PeerId id) const {
  return id && id.worker == worker_ && id.descriptor < descriptors_ && serials_ != nullptr &&
         serials_.get()[id.descriptor] == id.serial;
}

std::unique_ptr<Kept>& Belongings::data(int descriptor) {
  if (data_ == nullptr) {
    data_.reset(static_cast<std::unique_ptr<Kept>*>(
        std::calloc(descriptors_, sizeof(std::unique_ptr<Kept>))));
    CHECK(data_ != nullptr);
  }
  data_end_ = std::max(data_end_, static_cast<std::uint32_t>(descriptor) + 1);
  return data_.get()[descriptor];
}

}  // namespace holdfast::server
