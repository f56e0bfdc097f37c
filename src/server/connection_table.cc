#include "server/connection_table.h"

#include <cstdlib>
#include <new>

#include "base/check.h"

namespace holdfast::server {

// calloc: a table of this size comes from fresh zero pages, and all zero is what a free row looks
// like.
ConnectionTable::ConnectionTable(std::uint32_t size)
    : rows_(static_cast<Connection*>(std::calloc(size, sizeof(Connection)))), size_(size) {
  CHECK(rows_ != nullptr);
}

ConnectionTable::~ConnectionTable() {
  for (int i = 0; i < end_; ++i) rows_[i].~Connection();
  std::free(rows_);
}

Connection& ConnectionTable::take(int descriptor) {
  CHECK(contains(descriptor));
  Connection& row = rows_[descriptor];
  CHECK(row.state == State::kFree);
  if (descriptor >= end_) end_ = descriptor + 1;
  new (&row) Connection;
  return row;
}

void ConnectionTable::release(int descriptor) {
  Connection& row = rows_[descriptor];
  CHECK(row.state != State::kFree);
  row = Connection{};
  while (end_ > 0 && rows_[end_ - 1].state == State::kFree) --end_;
}

}  // namespace holdfast::server
