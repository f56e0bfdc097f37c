#include "load/tls_crowd.h"

#include <fmt/format.h>

namespace holdfast::load {

void TlsCrowd::begin(net::Descriptor descriptor, bool resume) {
  (*this)[descriptor].begin_client(context_, &sessions_, resume);
}

protocol::TlsCodec& TlsCrowd::operator[](net::Descriptor descriptor) {
  CHECK(descriptor >= 0);
  while (codecs_.size() <= static_cast<std::size_t>(descriptor)) codecs_.emplace_back();
  return codecs_[static_cast<std::size_t>(descriptor)];
}

std::string reason_of(const protocol::TlsOpened& opened, const protocol::TlsCodec& codec) {
  using Why = protocol::TlsFailure::Kind;
  if (opened.kind == protocol::TlsOpened::Kind::kAlerted)
    return fmt::format("TLS alert {}", static_cast<int>(opened.alert));
  if (codec.handshake() == nullptr) return fmt::format("TLS: {}", opened.reason);
  const protocol::TlsFailure& failure = codec.handshake()->failure();
  switch (failure.kind) {
    case Why::kUnverified:
      return fmt::format("certificate not verified: {}", failure.text);
    case Why::kAlert:
      return fmt::format("TLS alert: {}", failure.text);
    case Why::kOther:
      break;
  }
  return fmt::format("TLS: {}", failure.text);
}

void count_failure(TlsFacts& facts, const protocol::TlsHandshake& handshake) {
  using Why = protocol::TlsFailure::Kind;
  switch (handshake.failure().kind) {
    case Why::kUnverified:
      ++facts.unverified;
      return;
    case Why::kAlert:
      ++facts.alerts;
      return;
    case Why::kOther:
      ++facts.others;
      return;
  }
}

}  // namespace holdfast::load
