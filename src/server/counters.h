#pragma once

// What a worker counts. Only the worker's thread writes, any thread reads: plain loads and stores,
// no locked instruction.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace holdfast::server {

class Counter {
 public:
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount = 1) { add(~amount + 1); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Why a connection never became a WebSocket.
enum class Refusal : std::uint8_t {
  kConnectionsMax,  // 503: the server has as many as it may
  kWorkerFull,      // 503: this worker has no descriptor left
  kPerAddress,      // 503: connections_per_ip_max
  kRate,            // 503: handshakes_per_second_max
  kDraining,        // 503: the server is going away
  kDescriptors,     // 503: EMFILE or ENFILE at accept
  kMalformed,       // 400 and other violations of HTTP
  kForbidden,       // 401, 403, or another status that the handler gave
  kNotFound,        // 404
  kMethod,          // 405
  kTimeout,         // 408: handshake_timeout
  kBodyTooLarge,    // 413
  kVersion,         // 426
  kHeadTooLarge,    // 431
  kLeft,            // the peer ended the connection before its request was whole
  kPipelining,      // its answers lie waiting (queue_bytes_max) while it asks for more
  kProxyHeader,     // dropped: no PROXY header, or a wrong one, where the listener wants one
};
inline constexpr std::array<std::string_view, 17> kRefusalNames = {
    "connections_max", "worker_full",    "per_ip",    "rate",       "draining",    "descriptors",
    "malformed",       "forbidden",      "not_found", "method",     "timeout",     "body_too_large",
    "version",         "head_too_large", "peer_left", "pipelining", "proxy_header"};

// Why a WebSocket ended.
enum class Ending : std::uint8_t {
  kPeerClosed,  // the peer sent a Close
  kPeerLeft,    // the peer ended TCP without a Close
  kReset,       // the connection failed
  kPongMissed,  // silent for ping_interval and pong_timeout
  kViolation,   // the peer broke the protocol
  kTooBig,      // a message above message_bytes_max or fragments_max
  kQueueFull,   // it read too slowly
  kTooFast,     // above message_rate_max or byte_rate_max
  kHandler,     // the handler closed it
  kDrained,     // the server went away
};
inline constexpr std::array<std::string_view, 10> kEndingNames = {
    "peer_closed", "peer_left",  "reset",    "pong_missed", "violation",
    "too_big",     "queue_full", "too_fast", "handler",     "drained"};

// Loop turns by length: bucket i counts those of at most 2^i microseconds; the last takes the rest.
inline constexpr std::size_t kTurnBuckets = 22;

struct alignas(64) Counters {
  Counter connections;    // open WebSockets now
  Counter event_streams;  // of them, those that read server-sent events
  Counter descriptors;    // connections of any state now
  Counter accepted;       // TCP connections, ever
  Counter opened;         // WebSockets, ever
  std::array<Counter, kRefusalNames.size()> refused;
  std::array<Counter, kEndingNames.size()> ended;
  Counter requests;  // plain HTTP requests answered
  Counter pings_sent;
  Counter pongs_received;
  Counter pongs_missed;
  Counter messages_received;
  Counter messages_sent;
  Counter publications;            // taken from the mailbox
  Counter publications_lost;       // the mailbox was full
  Counter deliveries;              // messages queued for subscribers
  Counter messages_dropped;        // by the policies drop-oldest and conflate
  Counter messages_conflated;      // a newer value took their place before they were sent
  Counter deflate_agreed;          // WebSockets that agreed on permessage-deflate, ever
  Counter deflated_message_bytes;  // messages sent compressed: their payload before,
  Counter deflated_payload_bytes;  // and after
  Counter tls_established;         // TLS handshakes that were completed, ever
  Counter tls_resumed;             // of them, by a ticket
  Counter tls_attached;            // of them, left with OpenSSL: TLS 1.2, or detaching is off
  Counter tls_unexpected;          // of them, left with OpenSSL because something was not as known
  Counter tls_held;                // those two kinds, now
  Counter tls_old_refused;         // TLS 1.2 handshakes that tls_attached_max turned away
  Counter tls_failed;              // handshakes and connections that ended with a TLS alert
  Counter tls_waited;              // handshakes that had to wait for others
  Counter tls_unlocked;  // 1: secrets may come into swap, RLIMIT_MEMLOCK forbids to lock them
  Counter bytes_received;
  Counter bytes_sent;    // handed to the transmit queue
  Counter queued_bytes;  // waiting for slow readers now
  Counter turns;
  Counter turn_nanoseconds;
  std::array<Counter, kTurnBuckets> turn_lengths;

  Counter& of(Refusal reason) { return refused[static_cast<std::size_t>(reason)]; }
  Counter& of(Ending reason) { return ended[static_cast<std::size_t>(reason)]; }
};

}  // namespace holdfast::server
