#pragma once

// What a worker sends, over one loop turn and beyond.
//
//   room(n) ─► write there ─► send(fd, bytes) ─► … ─► flush(): the loop takes all in batches
//                                                      └► what a full socket did not take
//                                                         waits here for its kWritable
//
// A silent connection owns nothing here.

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "load/tls_crowd.h"
#include "net/loop.h"

namespace holdfast::load {

class Outbox {
 public:
  // Waiting bytes of one connection above which can_take() says no.
  static constexpr std::size_t kWaitingBytesMax = std::size_t{256} * 1024;
  // Bytes queued in one turn above which the caller should flush before going on.
  static constexpr std::size_t kTurnBytesMax = std::size_t{4} * 1024 * 1024;

  struct Failed {
    net::Descriptor descriptor;
    int error;
  };

  // Both must outlive the outbox. With `tls`, what is sent is sealed first, and only ever once.
  explicit Outbox(net::Loop& loop, TlsCrowd* tls = nullptr) : loop_(loop), tls_(tls) {}

  // Uninitialised bytes that stay where they are until the next flush().
  MutableBytes room(std::size_t size);
  // Queues bytes that stay where they are until the next flush(): those of room(), or static ones.
  void send(net::Descriptor descriptor, Bytes bytes);
  // With TLS: what it has to say by itself, where so much does not wait already that can_take()
  // says no (then it stays in the codec, which bounds it); and its last word (RFC 8446 6).
  void say_what_is_due(net::Descriptor descriptor);
  void say_last_word(net::Descriptor descriptor, protocol::TlsAlert alert);
  // False while so much waits for this socket that more should not be made.
  bool can_take(net::Descriptor descriptor) const;
  bool full() const { return turn_bytes_ >= kTurnBytesMax; }
  // A kWritable came: what waited goes out with the next flush().
  void on_writable(net::Descriptor descriptor);
  // The connection is being closed: what waits for it is dropped, and its keys are forgotten.
  void forget(net::Descriptor descriptor);
  // Hands everything to the loop. Returns the connections whose send failed for good; the span
  // lives until the next flush().
  std::span<const Failed> flush();

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{256} * 1024;

  void queue(net::Descriptor descriptor, Bytes bytes);
  void seal(net::Descriptor descriptor, std::span<const Bytes> pieces);

  net::Loop& loop_;
  TlsCrowd* tls_;
  std::vector<std::unique_ptr<std::byte[]>>
      chunks_;  // kChunkBytes each; all but the first are freed by flush()
  std::vector<std::unique_ptr<std::byte[]>> large_;  // one send each
  std::size_t chunk_used_ = kChunkBytes;
  std::size_t turn_bytes_ = 0;
  std::vector<Bytes> turn_sends_;  // by tag
  std::unordered_map<net::Descriptor, std::string> waiting_;
  std::deque<std::string> leaving_;  // what waited, and is on its way in this turn; never moves
  std::unordered_set<net::Descriptor>
      forgotten_;  // in this turn: their numbers may be another's in the next
  std::vector<Failed> failed_;
};

}  // namespace holdfast::load
