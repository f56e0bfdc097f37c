#pragma once

// What one turn has to say, peer by peer.
//
// Pieces are gathered while the turn runs and leave in one write for each peer when it ends. Bytes
// lie in one of three places: static storage, this turn's arena (copied there, gone after the
// flush), or a shared buffer that the turn holds on to. Only what a socket did not take gets memory
// of its own, in the connection's Outbox.

#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/shared_bytes.h"

namespace holdfast::server {

class TransmitQueue {
 public:
  // A message of a topic; `value` says what it is the newest value of (Outbox::Entry).
  struct Message {
    SharedBytes bytes;
    std::uint64_t value;
  };
  // Messages that leave in one piece: this turn holds on to them. `bytes` is all of them, one
  // behind the other.
  struct Held {
    SharedBytes bytes;
    std::vector<Message> messages;
  };
  struct Piece {
    Bytes bytes;
    std::int32_t shared = -1;  // index into the held buffers, when it is the whole of one
    std::uint32_t next = 0;    // of the same peer; the last one points to the first
  };

  // `descriptors`: one chain head for each, touched when it first queues something.
  explicit TransmitQueue(std::uint32_t descriptors);
  ~TransmitQueue();
  TransmitQueue(const TransmitQueue&) = delete;
  TransmitQueue& operator=(const TransmitQueue&) = delete;

  // Room for `size` bytes that live until clear(); the caller writes them.
  std::byte* reserve(std::size_t size);
  // Keeps a buffer until clear(); the index is for Piece::shared.
  std::int32_t hold(Held held);

  // Appends for a peer. `first`: nothing is queued for it yet in this turn.
  void push(int descriptor, bool first, Bytes bytes, std::int32_t shared);
  // Peers with something queued, in the order of their first piece; those taken back are still
  // listed.
  std::span<const int> peers() const { return peers_; }
  // The index of a peer's first piece.
  std::uint32_t first_of(int descriptor) const { return pieces_[tails_[descriptor]].next; }
  const Piece& piece(std::uint32_t index) const { return pieces_[index]; }
  bool is_last(int descriptor, std::uint32_t index) const { return tails_[descriptor] == index; }
  // What the piece consists of, to be kept longer than the turn: its messages, or nothing when its
  // bytes are its own.
  std::span<const Message> messages(const Piece& piece) const {
    if (piece.shared < 0) return {};
    return held_[static_cast<std::size_t>(piece.shared)].messages;
  }

  bool is_empty() const { return peers_.empty(); }
  void clear();

 private:
  static constexpr std::size_t kChunkBytes = 16 * 1024;

  std::uint32_t* tails_;
  std::vector<Piece> pieces_;
  std::vector<int> peers_;
  std::vector<Held> held_;
  std::unique_ptr<std::byte[]> chunk_;  // kept between turns
  std::size_t chunk_used_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> more_;  // this turn's alone
  std::byte* more_at_ = nullptr;
  std::size_t more_left_ = 0;
};

}  // namespace holdfast::server
