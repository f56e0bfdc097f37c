#include "load/tls_crowd.h"

namespace holdfast::load {

void TlsCrowd::begin(net::Descriptor descriptor, bool resume) {
  (*this)[descriptor].begin_client(context_, &sessions_, resume);
}

protocol::TlsCodec& TlsCrowd::operator[](net::Descriptor descriptor) {
  CHECK(descriptor >= 0);
  while (codecs_.size() <= static_cast<std::size_t>(descriptor)) codecs_.emplace_back();
  return codecs_[static_cast<std::size_t>(descriptor)];
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
