#pragma once

// One connection of an odd peer on its way to being open: a plain non-blocking socket.
//
//   connecting ─(writable)─► asked ─(answer)─► open
//        │  └─ wss: ─► securing ─┘   │
//        └──────────────┴────────────┴── refused, or out of time

#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "load/report.h"
#include "net/address.h"
#include "protocol/tls_codec.h"

namespace holdfast::load {

class OddOpening {
 public:
  enum class Progress : std::uint8_t { kUnderWay, kOpen };

  // Begins to connect. `least_buffer`: with the smallest receive buffer that the kernel gives.
  // `request`: what to say once connected. `tls`: over TLS, unless it is null.
  static Result<OddOpening> begin(const net::Address& from, const net::Address& to,
                                  bool least_buffer, Instant deadline, std::string request,
                                  std::shared_ptr<const protocol::TlsClientContext> tls);
  OddOpening(OddOpening&& other) noexcept;
  OddOpening& operator=(OddOpening&& other) noexcept;
  ~OddOpening();

  // What poll(2) should wait for.
  int descriptor() const { return descriptor_; }
  short events() const;

  // Goes on, as far as the socket lets it. The error is the reason why nothing comes of it: an
  // errno's name, "HTTP 503", "timeout connecting". Over TLS it needs an engine, and counts.
  Result<Progress> go_on(Instant now, protocol::TlsEngine& engine, TlsFacts& facts);
  // Once open: the socket is the caller's to close.
  int take();
  // And what seals for it; null without TLS.
  std::unique_ptr<protocol::TlsCodec> take_codec() { return std::move(codec_); }

 private:
  enum class Step : std::uint8_t { kConnecting, kSecuring, kAsked };

  OddOpening(int descriptor, Instant deadline, std::string request,
             std::shared_ptr<const protocol::TlsClientContext> tls)
      : descriptor_(descriptor),
        deadline_(deadline),
        request_(std::move(request)),
        tls_(std::move(tls)) {}
  Result<Progress> connected(protocol::TlsEngine& engine);
  Result<void> say(Bytes bytes, protocol::TlsEngine& engine);
  Result<Progress> hear(protocol::TlsEngine& engine, TlsFacts& facts);
  Result<void> open_records(MutableBytes bytes, protocol::TlsEngine& engine, TlsFacts& facts);
  Result<Progress> judge_answer() const;

  int descriptor_;
  Instant deadline_;
  std::string request_;
  Step step_ = Step::kConnecting;
  std::shared_ptr<const protocol::TlsClientContext> tls_;
  std::unique_ptr<protocol::TlsCodec> codec_;
  std::string answer_;  // as far as it came
};

// Ends a connection as a dying machine would: with RST, leaving nothing.
void reset_and_close(int descriptor);

}  // namespace holdfast::load
