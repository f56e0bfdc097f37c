#pragma once

// A worker's connections, indexed by descriptor number. The kernel gives the lowest free number, so
// the table is dense and a sweep over it is a walk through memory. Pages are touched when their
// first connection comes.

#include <cstddef>
#include <cstdint>

#include "server/connection.h"

namespace holdfast::server {

class ConnectionTable {
 public:
  // Room for descriptors below `size`: address space alone.
  explicit ConnectionTable(std::uint32_t size);
  ~ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  Connection& operator[](int descriptor) { return rows_[descriptor]; }
  const Connection& operator[](int descriptor) const { return rows_[descriptor]; }
  bool contains(int descriptor) const {
    return descriptor >= 0 && static_cast<std::uint32_t>(descriptor) < size_;
  }
  // Every connection that is not kFree lies below.
  int end() const { return end_; }
  // The row leaves kFree; it is as new.
  Connection& take(int descriptor);
  // The row is kFree again, its Busy freed.
  void release(int descriptor);

 private:
  Connection* rows_;
  std::uint32_t size_;
  int end_ = 0;
};

}  // namespace holdfast::server
