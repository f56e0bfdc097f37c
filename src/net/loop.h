#pragma once

// One thread's door to the kernel.
//
//   wait ──► next, next, … ──► (caller queues sends, closes) ──► flush ──► wait
//
// The loop delivers completions ("these bytes arrived"), never readiness, and takes sends into a
// queue that leaves in batches: one system call for up to kBatch sockets where io_uring is allowed,
// one each where it is not. Nothing here costs memory for a socket that is silent.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "net/address.h"
#include "net/tcp_facts.h"
#include "net/waker.h"

namespace holdfast::net {

// A descriptor number in the calling thread's table. A number is free for reuse only after the
// flush() that closed it.
using Descriptor = int;

struct Completion {
  enum class Kind : std::uint8_t {
    kAccepted,      // `descriptor` is new and non-blocking; `listener` says where it came in
    kAcceptFailed,  // out of descriptors or memory: `error`; see LoopOptions::emergency_answer
    kConnected,  // the connect() of `descriptor` ended: `error` is 0 or an errno; on error close()
                 // it
    kReceived,   // `bytes` lie in the loop's buffer, may be written to, and live until the next
                 // next()
    kClosed,  // the peer ended its side (`error` 0) or the connection failed (`error`); close() it
    kWritable,  // asked for by want_writable(); asked again for more
    kWoken,     // the waker of this loop was woken
  };
  Kind kind;
  Descriptor descriptor = -1;
  Descriptor listener = -1;
  int error = 0;
  MutableBytes bytes = {};
};

// A send that the kernel did not take whole: `taken` bytes of it went out. `error` is EAGAIN when
// the socket's buffer is full, else the connection is dead.
struct Unsent {
  Descriptor descriptor;
  std::uint32_t tag;
  std::uint32_t taken;
  int error;
};

enum class Io : std::uint8_t { kAuto, kUring, kEpoll };

struct LoopOptions {
  Io io = Io::kAuto;
  // Bytes of one receive slot where many peers are ready and say little (net/slot_width.h); what
  // does not fit its slot is read on into a 64 KiB buffer that only busy loops touch.
  std::uint32_t receive_slot_bytes = 512;
  // Connections accepted in one turn and from one listener, so that a storm cannot starve those who
  // are in.
  std::uint32_t accepts_per_turn_max = 512;
  // What a peer is told that was connected by the kernel when no descriptor was left: a descriptor
  // kept in reserve takes it, answers, and closes it; then the listener rests for 100 ms. So a full
  // table never makes the loop spin. Outlives the loop.
  Bytes emergency_answer = {};
  // Bytes taken from one peer in one turn, so that one busy peer cannot starve the others.
  std::uint32_t receive_bytes_per_turn_max = 256 * 1024;
};

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = true;
  bool ipv6_only =
      false;  // else an IPv6 wildcard takes IPv4 peers too, whatever the machine's default
  // Whole milliseconds. How long bytes may lie unacknowledged before the connection fails
  // (TCP_USER_TIMEOUT, tcp(7)); 0: as long as the kernel likes, some 15 minutes. Accepted
  // connections inherit it.
  Duration user_timeout{};
};

class Loop {
 public:
  static constexpr std::size_t kPiecesPerSendMax = 64;

  virtual ~Loop() = default;

  // Sleeps until something completes, the waker is woken or `deadline` passes. When `not_before`
  // lies in the future, only the waker can end the sleep earlier than that: arrivals of that time
  // are taken together, in one batch.
  virtual void wait(Instant not_before, Instant deadline) = 0;
  // Whether more had completed at the last wait() than this turn tells: then a peer's silence may
  // be the caller's own lateness.
  virtual bool is_behind() const { return false; }
  // What completed, one by one; nothing when this turn is done. Call until nothing comes, then
  // flush().
  virtual std::optional<Completion> next() = 0;

  // Queues bytes for a socket. They must stay where they are until flush() returns. `tag` comes
  // back in Unsent. Sends to one descriptor leave in their order, and once one was not taken whole,
  // those behind it are not tried in this turn. One send of several pieces is far cheaper than
  // several sends to one descriptor.
  virtual void send(Descriptor descriptor, Bytes bytes, std::uint32_t tag) = 0;
  // The same from several places in one write (at most kPiecesPerSendMax); the span itself is
  // copied.
  virtual void send(Descriptor descriptor, std::span<const Bytes> pieces, std::uint32_t tag) = 0;
  // Hands every queued send to the kernel, then does the queued shutdowns and closes. Returns what
  // was not taken whole, in the order of the sends; the span lives until the next call of send() or
  // flush().
  virtual std::span<const Unsent> flush() = 0;

  // Asks for one kWritable.
  virtual void want_writable(Descriptor descriptor) = 0;
  // No more sends after those queued: FIN follows them. Done in flush().
  virtual void shutdown_send(Descriptor descriptor) = 0;
  // Closes, in flush(), after the queued sends. No completion of this descriptor should be expected
  // after this call, but one that was already collected in this turn may still be delivered.
  virtual void close(Descriptor descriptor) = 0;
  // The same with RST in place of FIN: what is unsent is lost, and no TIME_WAIT is left.
  virtual void reset(Descriptor descriptor) = 0;

  // A listening socket whose connections come as kAccepted. On this thread's table only: closing it
  // elsewhere is no matter.
  virtual Result<Descriptor> listen(const Address& address, const ListenOptions& options) = 0;
  // The same for a socket that other threads listen on as well, through descriptors of their own
  // (net/unix_listener.h). This one belongs to the loop from here on. A connection wakes one idle
  // thread, each in its turn; none takes more than a few at once.
  virtual Result<Descriptor> listen_shared(Descriptor) {
    return failure("this loop has no shared listeners");
  }
  // What LoopOptions::emergency_answer is for this listener's peers. Outlives the loop.
  virtual void answer_emergencies_with(Descriptor, Bytes) {}
  // Leaves newcomers of a listener to the other threads for that long.
  virtual void rest_listener(Descriptor, Duration) {}
  virtual Result<Address> local_address(Descriptor descriptor) const = 0;
  virtual Result<Address> peer_address(Descriptor descriptor) const = 0;
  // What the kernel knows of a connection (tcp(7), TCP_INFO). Nothing where it is not TCP.
  virtual std::optional<TcpFacts> tcp_facts(Descriptor) const { return std::nullopt; }
  // A connection being made; kConnected tells its end. `from` with port 0: the kernel picks the
  // port at connect time (IP_BIND_ADDRESS_NO_PORT), so that each source address has its own 64 k of
  // ports towards one destination.
  virtual Result<Descriptor> connect(const std::optional<Address>& from, const Address& to) = 0;

  // The instant of the last return of wait(). One reading per turn.
  virtual Instant now() const = 0;
  // The instant of the call: a reading of the clock each time.
  virtual Instant clock() const = 0;
  // Seconds since 1970 of this turn, for what is told to people; 0: this loop knows no date.
  virtual std::int64_t unix_seconds() const { return 0; }
  // "io_uring" or "epoll"; for logs and reports.
  virtual std::string_view io_name() const = 0;
};

// A loop of this thread: call it on the thread that will use it, after it has its own descriptor
// table. `waker` may be null and must outlive the loop. With Io::kAuto plain epoll serves where
// io_uring is forbidden; Io::kUring then fails.
Result<std::unique_ptr<Loop>> make_loop(const LoopOptions& options, Waker* waker);

}  // namespace holdfast::net
