// TLS, between a worker's loop and what its connections say.

#include <cerrno>

#include "load/worker.h"

namespace holdfast::load {

void Worker::begin_tls(net::Descriptor descriptor) {
  ConnectionRecord& record = records_[descriptor];
  if (record.state == State::kConnecting) {
    record.state = State::kSecuring;
  } else if (record.state != State::kPublisher) {
    return;
  }
  const Resume resume = plan_.options->resume;
  const bool is_back = opened_before_ && record.state == State::kSecuring;
  tls_->begin(descriptor, resume == Resume::kAlways || (resume == Resume::kReturning && is_back));
  outbox_.say_what_is_due(descriptor);
}

void Worker::on_ciphertext(net::Descriptor descriptor, MutableBytes bytes) {
  using Kind = protocol::TlsOpened::Kind;
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  while (codec.is_begun()) {
    const protocol::TlsOpened opened = codec.next(tls_->engine, bytes, tls_->scratch);
    switch (opened.kind) {
      case Kind::kMore:
        return outbox_.say_what_is_due(descriptor);
      case Kind::kNothing:
        break;
      case Kind::kEstablished:
        on_secured(descriptor, opened.resumed);
        break;
      case Kind::kData:
        on_plaintext(descriptor, opened.plaintext);
        break;
      case Kind::kClosed:
        return on_closed(descriptor, 0);
      case Kind::kAlerted:
      case Kind::kFailed:
        return fail_tls(descriptor, opened);
    }
  }
}

void Worker::on_secured(net::Descriptor descriptor, bool resumed) {
  ++(resumed ? tally_.tls.resumed : tally_.tls.full);
  if (records_[descriptor].state == State::kPublisher)
    return publisher_.on_connected(descriptor, 0);
  ask(descriptor);
}

void Worker::note_who_keeps_it(const protocol::TlsCodec& codec) {
  if (codec.is_detached()) return;
  ++tally_.tls.attached;
  if (codec.handshake()->was_unexpected()) ++tally_.tls.unexpected;
}

// RFC 8446 6.2: ours is said before it ends, the alert that tells the server why.
void Worker::fail_tls(net::Descriptor descriptor, const protocol::TlsOpened& opened) {
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  const std::string reason = protocol::describe_failure(opened, codec);
  if (!codec.is_established()) {
    count_failure(tally_.tls, *codec.handshake());
  } else if (opened.kind == protocol::TlsOpened::Kind::kFailed) {
    outbox_.say_last_word(descriptor, opened.alert);
  }
  outbox_.say_what_is_due(descriptor);
  ConnectionRecord& record = records_[descriptor];
  if (record.state == State::kPublisher) return on_closed(descriptor, EPROTO);
  if (is_under_way(record)) {
    --in_flight_;
    came_to_nothing(record.ordinal, reason, loop_.now());
  } else if (record.state == State::kOpen) {
    lose(descriptor, reason);
    return loop_.close(descriptor);
  }
  forget(descriptor);
  loop_.close(descriptor);
}

}  // namespace holdfast::load
