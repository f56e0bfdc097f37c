#pragma once

// The one Loop of the product: epoll (edge-triggered) says who is ready, a Transport moves the
// bytes.
//
// Edge-triggered: a descriptor is reported once for each arrival, so a read must go on until it
// comes back short. Those that used up their share of a turn wait in `unfinished_` and are read
// first in the next one.

#include <time.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "net/loop.h"
#include "net/slot_width.h"
#include "net/transport.h"

struct epoll_event;

namespace holdfast::net {

class EpollLoop final : public Loop {
 public:
  EpollLoop(const LoopOptions& options, Waker* waker, int epoll,
            std::unique_ptr<Transport> transport, std::uint32_t descriptors_max);
  ~EpollLoop() override;

  void wait(Instant not_before, Instant deadline) override;
  bool is_behind() const override { return event_count_ == kEventsMax; }
  std::optional<Completion> next() override;
  void send(Descriptor descriptor, Bytes bytes, std::uint32_t tag) override;
  void send(Descriptor descriptor, std::span<const Bytes> pieces, std::uint32_t tag) override;
  std::span<const Unsent> flush() override;
  void want_writable(Descriptor descriptor) override;
  void shutdown_send(Descriptor descriptor) override;
  void close(Descriptor descriptor) override;
  void reset(Descriptor descriptor) override;
  Result<Descriptor> listen(const Address& address, const ListenOptions& options) override;
  Result<Descriptor> listen_shared(Descriptor descriptor) override;
  void answer_emergencies_with(Descriptor listener, Bytes answer) override;
  void rest_listener(Descriptor descriptor, Duration time) override;
  Result<Address> local_address(Descriptor descriptor) const override;
  Result<Address> peer_address(Descriptor descriptor) const override;
  std::optional<TcpFacts> tcp_facts(Descriptor descriptor) const override;
  Result<Descriptor> connect(const std::optional<Address>& from, const Address& to) override;
  Instant now() const override { return now_; }
  Instant clock() const override;
  std::int64_t unix_seconds() const override;
  std::string_view io_name() const override { return transport_->name(); }

 private:
  static constexpr std::size_t kEventsMax = 512;
  static constexpr std::size_t kBigBufferBytes = 64 * 1024;
  static constexpr std::size_t kPiecesMax = 1024;

  // What the loop knows of a descriptor: one byte each.
  enum Flag : std::uint8_t {
    kConnecting = 1,
    kWantsWritable = 2,
    kSendQueued = 4,   // a send waits in sends_
    kSendBlocked = 8,  // a send of this turn was not taken whole
    kClosing = 16,
    kUnfinished = 32,  // more to read in the next turn
    kHungUp = 64,      // epoll said that the peer is gone: read on to the end
  };

  struct Listener {
    Descriptor descriptor;
    std::uint32_t ask;    // connections to ask for at once; follows what came
    Instant rests_until;  // in the past when it is watched
    bool shared;          // other threads accept from it too
    Bytes emergency_answer;
  };

  std::uint8_t& flags(Descriptor descriptor);
  bool has(Descriptor descriptor, Flag flag) { return (flags(descriptor) & flag) != 0; }

  std::optional<timespec> sleep_until(Instant deadline) const;
  int wait_for_events(Instant deadline);
  void wake_rested_listeners();
  void rest(Listener& listener, Duration time);
  int watch_listener(const Listener& listener);
  void unwatch_listener(const Listener& listener);
  Listener* find_listener(Descriptor descriptor);

  void collect();
  void take_event(const epoll_event& event);
  void accept(Listener& listener);
  void answer_emergency(Listener& listener);
  void watch_new(std::span<const int> accepted, Descriptor listener);
  void receive_collected();
  std::optional<Completion> next_received();
  std::optional<Completion> read_on();
  void finish_reading();
  void postpone(Descriptor descriptor);

  SendOperation& queue_send(Descriptor descriptor, std::uint32_t tag);
  void push_piece(SendOperation& operation, Bytes bytes);
  void submit_sends();
  void close_queued();

  LoopOptions options_;
  Waker* waker_;
  int epoll_;
  int reserve_;  // an open descriptor to give up when the table is full
  std::unique_ptr<Transport> transport_;
  std::uint32_t descriptors_max_;
  Instant now_;
  bool has_precise_wait_ = true;  // until the kernel says otherwise
  std::unique_ptr<std::uint8_t[], void (*)(void*)> flags_;
  std::vector<Listener> listeners_;

  // This turn's arrivals.
  std::unique_ptr<epoll_event[]> events_;
  std::size_t event_count_ = 0;
  std::size_t event_next_ = 0;
  std::vector<Completion> ready_;  // those that need no read; in order
  std::size_t ready_next_ = 0;
  std::vector<Descriptor> unfinished_;
  std::size_t unfinished_next_ = 0;
  std::size_t unfinished_count_ = 0;  // of this turn; what is behind it belongs to the next

  // The receive batch under way.
  SlotWidth slot_width_;
  std::unique_ptr<std::byte[]> slots_;
  std::unique_ptr<std::byte[]>
      big_buffer_;  // made by the first peer that says more than a slot holds
  std::array<ReceiveOperation, SlotWidth::kSlotsMax> receives_;
  std::size_t receive_count_ = 0;
  std::size_t receive_next_ = 0;
  Descriptor reading_on_ = -1;  // the peer that filled its slot, or hung up
  std::uint32_t reading_on_bytes_ = 0;

  // This turn's departures.
  std::vector<SendOperation> sends_;
  std::vector<iovec> pieces_;  // never grows past kPiecesMax, so that pointers into it stay right
  std::vector<Unsent> unsent_;
  std::vector<Unsent> reported_;  // what flush() returned last
  std::vector<Descriptor> shutdowns_;
  std::vector<Descriptor> closes_;
  std::vector<Descriptor> to_watch_;  // connects of this turn
};

}  // namespace holdfast::net
