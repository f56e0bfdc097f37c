#include "load/outbox.h"

#include <cerrno>

#include "base/check.h"

namespace holdfast::load {

MutableBytes Outbox::room(std::size_t size) {
  if (size > kChunkBytes / 4) {
    large_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
    return {large_.back().get(), size};
  }
  if (chunk_used_ + size > kChunkBytes) {
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunkBytes));
    chunk_used_ = 0;
  }
  const MutableBytes result(chunks_.back().get() + chunk_used_, size);
  chunk_used_ += size;
  return result;
}

void Outbox::send(net::Descriptor descriptor, Bytes bytes) {
  if (tls_ != nullptr) return seal(descriptor, {&bytes, 1});
  queue(descriptor, bytes);
}

void Outbox::seal(net::Descriptor descriptor, std::span<const Bytes> pieces) {
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  if (!codec.is_begun()) return;
  const Bytes records =
      codec.seal(tls_->engine, pieces, [this](std::size_t size) { return room(size).data(); });
  if (!records.empty()) queue(descriptor, records);
}

void Outbox::say_what_is_due(net::Descriptor descriptor) {
  if (tls_ == nullptr || !can_take(descriptor)) return;
  if ((*tls_)[descriptor].has_something_to_say()) seal(descriptor, {});
}

void Outbox::say_last_word(net::Descriptor descriptor, protocol::TlsAlert alert) {
  if (tls_ == nullptr || !(*tls_)[descriptor].is_begun()) return;
  protocol::TlsCodec& codec = (*tls_)[descriptor];
  const Bytes records =
      codec.seal_end(tls_->engine, alert, [this](std::size_t size) { return room(size).data(); });
  if (!records.empty()) queue(descriptor, records);
}

void Outbox::queue(net::Descriptor descriptor, Bytes bytes) {
  turn_bytes_ += bytes.size();
  if (!waiting_.empty()) {
    // Behind what waits, or it would overtake it.
    if (const auto waiting = waiting_.find(descriptor); waiting != waiting_.end()) {
      waiting->second += as_text(bytes);
      return;
    }
  }
  loop_.send(descriptor, bytes, static_cast<std::uint32_t>(turn_sends_.size()));
  turn_sends_.push_back(bytes);
}

bool Outbox::can_take(net::Descriptor descriptor) const {
  if (waiting_.empty()) return true;
  const auto waiting = waiting_.find(descriptor);
  return waiting == waiting_.end() || waiting->second.size() < kWaitingBytesMax;
}

void Outbox::on_writable(net::Descriptor descriptor) {
  const auto waiting = waiting_.find(descriptor);
  if (waiting == waiting_.end()) return;
  leaving_.push_back(std::move(waiting->second));
  waiting_.erase(waiting);
  queue(descriptor, as_bytes(leaving_.back()));
}

void Outbox::forget(net::Descriptor descriptor) {
  if (!waiting_.empty()) waiting_.erase(descriptor);
  if (!turn_sends_.empty()) forgotten_.insert(descriptor);
  if (tls_ != nullptr) (*tls_)[descriptor].end(tls_->engine);
}

std::span<const Outbox::Failed> Outbox::flush() {
  failed_.clear();
  for (const net::Unsent& unsent : loop_.flush()) {
    if (forgotten_.contains(unsent.descriptor)) continue;
    if (unsent.error != EAGAIN) {
      failed_.push_back({unsent.descriptor, unsent.error});
      continue;
    }
    CHECK(unsent.tag < turn_sends_.size() && unsent.taken <= turn_sends_[unsent.tag].size());
    const auto [waiting, is_new] = waiting_.try_emplace(unsent.descriptor);
    waiting->second += as_text(turn_sends_[unsent.tag].subspan(unsent.taken));
    if (is_new) loop_.want_writable(unsent.descriptor);
  }
  turn_sends_.clear();
  leaving_.clear();
  forgotten_.clear();
  large_.clear();
  if (chunks_.size() > 1) chunks_.resize(1);
  chunk_used_ = chunks_.empty() ? kChunkBytes : 0;
  turn_bytes_ = 0;
  return failed_;
}

}  // namespace holdfast::load
