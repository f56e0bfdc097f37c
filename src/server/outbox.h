#pragma once

// Bytes that a peer's socket did not take: whole buffers shared with other peers, or copies of what
// was not shared.

#include <cstdint>
#include <deque>
#include <iterator>

#include "base/bytes.h"
#include "base/shared_bytes.h"

namespace holdfast::server {

class Outbox {
 public:
  struct Entry {
    SharedBytes bytes;
    std::uint32_t sent = 0;   // of them, already taken by the socket
    bool droppable = false;   // a message of a topic, none of it sent
    std::uint64_t value = 0;  // what it is the newest value of; 0: of nothing
    bool sealed = false;      // TLS records: nothing may come between them, or be sealed again
    Bytes rest() const { return bytes.bytes().subspan(sent); }
  };

  bool is_empty() const { return entries_.empty(); }
  std::uint64_t bytes() const { return bytes_; }

  void push(SharedBytes bytes, std::uint32_t sent, bool droppable, std::uint64_t value) {
    bytes_ += bytes.size() - sent;
    entries_.push_back({std::move(bytes), sent, droppable && sent == 0, value, false});
  }
  void push_sealed(SharedBytes bytes) {
    bytes_ += bytes.size();
    entries_.push_back({std::move(bytes), 0, false, 0, true});
  }
  // Puts records in the place of the first `count` entries, which they say.
  void replace_front(std::size_t count, SharedBytes sealed) {
    for (; count > 0; --count) {
      bytes_ -= entries_.front().rest().size();
      entries_.pop_front();
    }
    if (sealed.size() == 0) return;
    bytes_ += sealed.size();
    entries_.push_front({std::move(sealed), 0, false, 0, true});
  }
  // Puts a newer value behind all that waits, and takes away the one that waits: a slow reader sees
  // values in the order of their birth. False when none waits that is still whole.
  bool replace(std::uint64_t value, const SharedBytes& bytes) {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      if (entry->value != value || !entry->droppable) continue;
      bytes_ -= entry->bytes.size();
      entries_.erase(std::prev(entry.base()));
      push(bytes, 0, true, value);
      return true;
    }
    return false;
  }
  // Takes `count` bytes off the front: the socket has them.
  void consume(std::uint64_t count) {
    bytes_ -= count;
    while (count > 0) {
      Entry& front = entries_.front();
      const std::uint64_t left = front.bytes.size() - front.sent;
      if (count < left) {
        front.sent += static_cast<std::uint32_t>(count);
        front.droppable = false;
        return;
      }
      count -= left;
      entries_.pop_front();
    }
  }
  // Drops the oldest droppable message. False when there is none.
  bool drop_oldest() {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (!entry->droppable) continue;
      bytes_ -= entry->bytes.size();
      entries_.erase(entry);
      return true;
    }
    return false;
  }
  // Drops all but what the peer has a part of already.
  void drop_unbegun() {
    while (!entries_.empty() && entries_.back().sent == 0 && !entries_.back().sealed) {
      bytes_ -= entries_.back().bytes.size();
      entries_.pop_back();
    }
  }
  // Whether the answer to the peer's upgrade waits, not begun: what we say to a WebSocket has the
  // FIN bit (RFC 6455 5.2) first.
  bool holds_handshake() const {
    const Entry& first = entries_.front();
    return first.sent == 0 && !first.sealed &&
           (first.bytes.bytes()[0] & std::byte{0x80}) == std::byte{};
  }
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  std::deque<Entry> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace holdfast::server
