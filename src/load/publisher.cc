#include "load/publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "load/error_name.h"
#include "load/sequence_window.h"
#include "net/clock.h"

namespace holdfast::load {

Publisher::Publisher(const PublisherPlan& plan, net::Loop& loop, Outbox& outbox,
                     MessageFacts& facts, Instant (*clock)())
    : plan_(plan), loop_(loop), outbox_(outbox), facts_(facts), clock_(clock) {
  head_ = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n",
      plan.target->path, plan.target->authority, plan.message_bytes);
  if (!plan.token.empty()) head_ += fmt::format("Authorization: Bearer {}\r\n", plan.token);
  head_ += "\r\n";
}

void Publisher::begin(Instant now, double per_second) { pacer_.emplace(now, per_second); }

void Publisher::stop(Instant now) {
  if (!pacer_) return;
  for (; pacer_->next_due() < now; pacer_->advance())
    facts_.lateness.record(now - pacer_->next_due());
  pacer_.reset();
}

Instant Publisher::next_due() const { return pacer_ ? pacer_->next_due() : kNever; }

std::vector<net::Descriptor> Publisher::send_due(Instant now) {
  std::vector<net::Descriptor> made;
  while (pacer_ && pacer_->next_due() <= now && !outbox_.full()) {
    const Message message{plan_.run, next_sequence_, pacer_->next_due()};
    pacer_->advance();
    if (waiting_.size() >= kWaitingMax) {
      ++facts_.unsent;
      continue;
    }
    ++next_sequence_;
    waiting_.push_back(message);
    start_waiting();
    if (!idle_.empty() || peers_.size() >= kPeersMax || connecting_ >= waiting_.size()) continue;
    const auto descriptor = loop_.connect(plan_.from, plan_.target->address);
    if (!descriptor) {
      waiting_.pop_back();
      ++facts_.refused["no connection: " + descriptor.error().message];
      continue;
    }
    ++connecting_;
    peers_.emplace(*descriptor, Peer(&limits_));
    made.push_back(*descriptor);
  }
  return made;
}

void Publisher::publish(net::Descriptor descriptor, const Message& message) {
  Peer& peer = peers_.at(descriptor);
  peer.parser.reset();
  peer.carries = message;
  under_way_.insert(message.sequence);
  peer.sent_at = clock_();
  facts_.lateness.record(peer.sent_at - message.intended);
  if (plan_.pusher != nullptr) {
    std::string data(plan_.message_bytes, '\0');
    write_message({reinterpret_cast<std::byte*>(data.data()), data.size()}, message);
    const std::string text =
        pusher_publish(*plan_.pusher, plan_.target->authority,
                       pusher_channel(plan_.channel_kind, 0, 1), data, net::unix_seconds_now());
    const MutableBytes room = outbox_.room(text.size());
    std::memcpy(room.data(), text.data(), text.size());
    return outbox_.send(descriptor, room);
  }
  const MutableBytes request = outbox_.room(head_.size() + plan_.message_bytes);
  std::memcpy(request.data(), head_.data(), head_.size());
  write_message(request.subspan(head_.size()), message);
  outbox_.send(descriptor, request);
}

// Connections that are free take what waits longest. What does not fit into this turn goes when one
// of those that did is answered.
void Publisher::start_waiting() {
  while (!idle_.empty() && !waiting_.empty() && !outbox_.full()) {
    const Message message = waiting_.front();
    if (!under_way_.empty() && message.sequence - *under_way_.begin() >= SequenceWindow::kSpan)
      return;
    waiting_.pop_front();
    const net::Descriptor descriptor = idle_.back();
    idle_.pop_back();
    publish(descriptor, message);
  }
}

void Publisher::on_connected(net::Descriptor descriptor, int error) {
  if (!owns(descriptor)) return;
  --connecting_;
  if (error == 0) {
    idle_.push_back(descriptor);
    return start_waiting();
  }
  drop(descriptor);
  // The oldest of those for whom this connection was made.
  if (waiting_.empty()) return;
  waiting_.pop_front();
  ++facts_.refused[fmt::format("no connection: {}", error_name(error))];
}

void Publisher::on_received(net::Descriptor descriptor, Bytes bytes) {
  const auto found = peers_.find(descriptor);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  if (!peer.carries) return on_closed(descriptor, 0);  // an answer to nothing
  switch (peer.parser.feed(bytes)) {
    case protocol::HttpProgress::kMore:
      return;
    case protocol::HttpProgress::kDone:
      return answered(descriptor, peer);
    case protocol::HttpProgress::kError:
      ++facts_.refused["malformed answer"];
      drop(descriptor);
      return;
  }
}

void Publisher::answered(net::Descriptor descriptor, Peer& peer) {
  const protocol::HttpResponse& response = peer.parser.response();
  facts_.publishing.record(clock_() - peer.sent_at);
  if (response.status >= 200 && response.status < 300) {
    ++facts_.sent;
  } else {
    ++facts_.refused[fmt::format("HTTP {}", response.status)];
  }
  if (!response.keep_alive) return drop(descriptor);
  under_way_.erase(peer.carries->sequence);
  peer.carries.reset();
  idle_.push_back(descriptor);
  start_waiting();
}

void Publisher::on_closed(net::Descriptor descriptor, int error) {
  const auto found = peers_.find(descriptor);
  if (found == peers_.end()) return;
  if (found->second.carries) {
    ++facts_.refused[error == 0 ? std::string("closed without an answer")
                                : std::string(error_name(error))];
  }
  drop(descriptor);
}

void Publisher::drop(net::Descriptor descriptor) {
  const auto found = peers_.find(descriptor);
  if (found->second.carries) under_way_.erase(found->second.carries->sequence);
  peers_.erase(found);
  std::erase(idle_, descriptor);
  outbox_.forget(descriptor);
  loop_.close(descriptor);
  start_waiting();
}

void Publisher::leave() {
  waiting_.clear();
  while (!peers_.empty()) drop(peers_.begin()->first);
}

}  // namespace holdfast::load
