#pragma once

// One connection of an odd peer on its way to being open: a plain non-blocking socket.
//
//   connecting ─(writable)─► asked ─(answer)─► open
//        └──────────┴── refused, or out of time

#include <string>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "net/address.h"

namespace holdfast::load {

class OddOpening {
 public:
  enum class Progress : std::uint8_t { kUnderWay, kOpen };

  // Begins to connect. `least_buffer`: with the smallest receive buffer that the kernel gives.
  // `request`: what to say once connected.
  static Result<OddOpening> begin(const net::Address& from, const net::Address& to,
                                  bool least_buffer, Instant deadline, std::string request);
  OddOpening(OddOpening&& other) noexcept;
  OddOpening& operator=(OddOpening&& other) noexcept;
  ~OddOpening();

  // What poll(2) should wait for.
  int descriptor() const { return descriptor_; }
  short events() const;

  // Goes on, as far as the socket lets it. The error is the reason why nothing comes of it: an
  // errno's name, "HTTP 503", "timeout connecting".
  Result<Progress> go_on(Instant now);
  // Once open: the socket is the caller's to close.
  int take();

 private:
  OddOpening(int descriptor, Instant deadline, std::string request)
      : descriptor_(descriptor), deadline_(deadline), request_(std::move(request)) {}
  Result<Progress> ask();
  Result<Progress> read_answer();

  int descriptor_;
  Instant deadline_;
  std::string request_;
  bool asked_ = false;
  std::string answer_;  // as far as it came
};

// Ends a connection as a dying machine would: with RST, leaving nothing.
void reset_and_close(int descriptor);

}  // namespace holdfast::load
