#pragma once

// The TLS side of a worker's connections: 96 bytes for each, by descriptor number, in memory that
// is kept out of core dumps and of swap. Only the pages of peers that came through a TLS listener
// are touched.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "net/secret_memory.h"
#include "protocol/tls_codec.h"
#include "server/tls_source.h"

namespace holdfast::server {

// Used by one thread.
class TlsTable {
 public:
  explicit TlsTable(std::uint32_t descriptors)
      : memory_(std::size_t{descriptors} * sizeof(protocol::TlsCodec)) {}
  ~TlsTable() {
    for (int i = 0; i < end_; ++i) {
      row(i).end(engine);
      row(i).~TlsCodec();
    }
  }
  TlsTable(const TlsTable&) = delete;
  TlsTable& operator=(const TlsTable&) = delete;

  // All zero is a codec of no connection.
  protocol::TlsCodec& operator[](int descriptor) {
    if (descriptor >= end_) extend(descriptor + 1);
    return row(descriptor);
  }
  // None of it may come into swap.
  bool is_locked() const { return memory_.is_locked() && secrets_.is_locked(); }

 private:
  net::SecretResource secrets_;  // what the rows have elsewhere

 public:
  protocol::TlsEngine engine{protocol::TlsEngine::kKeptDefault, &secrets_};
  std::vector<std::byte> scratch;  // where a record lies that came in pieces
  std::vector<Bytes> pieces;       // of one peer, to be sealed
  std::deque<int> waiting;         // for their handshake; those that left are still listed
  // Handshakes under way: since when each waits for its client.
  std::map<int, Instant> shaking;
  // Of those, whose next words came when the turn had gone on with enough of them, in their order;
  // and the words, as long as they are there.
  std::deque<int> put_off;
  std::map<int, std::vector<std::byte>> put_off_words;
  std::uint32_t begun_in_turn = 0;
  std::uint32_t steps_in_turn = 0;  // flights of ours, and handshakes that ended well or not
  std::uint32_t begun = 0;          // since memory was given back,
  Instant given_back{};             // which was then
  std::uint32_t told = 0;           // over a limit, and let in to hear so, in the second
  Instant told_since{};             // that began then

 private:
  protocol::TlsCodec& row(int descriptor) {
    return reinterpret_cast<protocol::TlsCodec*>(memory_.data())[descriptor];
  }
  void extend(int end) {
    end_ = end;
    memory_.lock_up_to(static_cast<std::size_t>(end) * sizeof(protocol::TlsCodec));
  }

  net::SecretMemory memory_;
  int end_ = 0;
};

}  // namespace holdfast::server
