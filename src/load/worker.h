#pragma once

// One thread of the generator: its share of the connections, over one loop.
//
//   wait ─► completions (answers, pings, messages, ends) ─► open what is due ─► send what is due
//     ▲                                                                                │
//     └──────────────────────────────────── flush ◄────────────────────────────────────┘
//
// It takes its orders from the baton, counts into its tally, and shares nothing but its live
// counters.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "client/target.h"
#include "load/baton.h"
#include "load/connection_record.h"
#include "load/live_counters.h"
#include "load/load_options.h"
#include "load/opener.h"
#include "load/outbox.h"
#include "load/pacer.h"
#include "load/publisher.h"
#include "load/source_plan.h"
#include "load/tally.h"
#include "load/this_machine.h"
#include "load/tls_crowd.h"
#include "net/loop.h"
#include "protocol/http_response.h"
#include "protocol/message_deflater.h"
#include "protocol/message_inflater.h"
#include "protocol/session.h"

namespace holdfast::load {

// What the connections say to each other while they are held.
enum class Traffic : std::uint8_t {
  kNone,
  kEcho,
  kPublish,
  kClientPing,  // pusher: each client asks now and then whether the server is there
};

struct WorkerPlan {
  const LoadOptions* options;
  const client::Target* target;
  const SourcePlan* sources;
  std::uint32_t index = 0;
  std::uint32_t workers = 1;
  std::uint64_t first_ordinal = 0;  // of the run's connections
  std::uint32_t connections = 1;
  std::shared_ptr<const protocol::TlsClientContext> tls;  // wss://; null: ws://
  double rate = 0;  // opens a second of this worker; 0: no pace
  Traffic traffic = Traffic::kNone;
  bool publishes = false;  // one worker does, for all
  std::uint32_t run = 0;   // the sender in publications
  std::uint64_t seed = 0;  // of keys and masks
  Instant origin;          // when second 0 of the series begins
  Instant (*clock)();      // for latencies; loop.now() is too coarse within a long turn
};

// What a worker knows at the end.
struct WorkerOutcome {
  std::string io;  // how bytes reached the kernel
  Tally tally{Instant()};
  std::uint64_t opened = 0;  // by the first opening
  std::uint64_t never_tried = 0;
  std::uint64_t held = 0;       // open when the last hold ended
  std::uint64_t expecting = 0;  // connections that publications should have reached
  std::uint64_t published = 0;
  PingFacts pings;
  std::vector<std::uint64_t> returned;  // at the end of each opening after a drop
  std::vector<std::uint64_t> dropped;   // by each drop
  std::vector<std::uint64_t> refusals;  // during each opening after a drop
  Instant last_answer;                  // of the first opening
  ThreadUse opening_use;
  Duration opening_wall{0};
  ThreadUse holding_use;
  Duration holding_wall{0};
};

class Worker {
 public:
  // All that the plan points to, and the references, must outlive the worker. Call on the thread
  // that owns `loop`.
  Worker(const WorkerPlan& plan, net::Loop& loop, const Baton& baton, LiveCounters& live);

  void turn();
  bool finished() const { return finished_; }
  // Once finished.
  WorkerOutcome take_outcome();

 private:
  using State = ConnectionRecord::State;

  struct Attempt {
    net::Descriptor descriptor;
    std::uint32_t number;
    Instant deadline;
  };

  // --- phases
  void follow_baton();
  void enter(Phase phase);
  void begin_hold();
  void end_hold();
  void end_opening();
  void drop_all();
  void close_those_that_linger(Instant now);
  Instant not_before(Instant now) const;
  Instant deadline() const;
  void publish_live();
  bool phase_done() const;

  // --- opening
  void open_due(Instant now);
  void open(std::uint32_t ordinal, Instant now);
  void expire_openings(Instant now);
  std::string_view what_took_too_long(State state);
  void on_connected(net::Descriptor descriptor, int error);
  void ask(net::Descriptor descriptor);
  void on_answer(net::Descriptor descriptor, MutableBytes bytes);
  std::string_view wrong_with(const protocol::HttpResponse& response,
                              const ConnectionRecord& record) const;
  void opened(net::Descriptor descriptor);
  void on_joining(net::Descriptor descriptor, const protocol::Event& event);
  bool is_under_way(const ConnectionRecord& record) const {
    return record.state == State::kConnecting || record.state == State::kSecuring ||
           record.state == State::kHandshaking || record.state == State::kJoining;
  }
  void refuse(net::Descriptor descriptor, std::string_view reason);
  void came_to_nothing(std::uint32_t ordinal, std::string_view reason, Instant now);
  std::string key_of(std::uint32_t attempt) const;

  // --- TLS
  void begin_tls(net::Descriptor descriptor);
  void on_ciphertext(net::Descriptor descriptor, MutableBytes bytes);
  void on_secured(net::Descriptor descriptor, bool resumed);
  void note_who_keeps_it(const protocol::TlsCodec& codec);
  void fail_tls(net::Descriptor descriptor, const protocol::TlsOpened& opened);

  // --- being open
  void dispatch(const net::Completion& completion);
  void on_plaintext(net::Descriptor descriptor, MutableBytes bytes);
  void on_frames(net::Descriptor descriptor, MutableBytes bytes);
  void on_event(net::Descriptor descriptor, const protocol::Event& event);
  void on_ping(net::Descriptor descriptor, Bytes payload);
  void on_message(ConnectionRecord& record, Bytes payload);
  void on_closed(net::Descriptor descriptor, int error);
  void lose(net::Descriptor descriptor, std::string_view reason);
  void forget(net::Descriptor descriptor);
  void send_frame(net::Descriptor descriptor, protocol::Opcode opcode,
                  std::span<const std::byte> payload, bool deflated = false);
  void send_close(net::Descriptor descriptor, std::uint16_t code);
  protocol::MaskKey next_mask();

  // --- echo
  void echo_due(Instant now);
  void send_echo(net::Descriptor descriptor, ConnectionRecord& record, Instant intended);
  void publish_due(Instant now);
  void count_expected_echoes();

  void flush();

  WorkerPlan plan_;
  net::Loop& loop_;
  const Baton& baton_;
  LiveCounters& live_;
  Instant began_;
  std::optional<TlsCrowd> tls_;
  Outbox outbox_;
  Tally tally_;
  WorkerOutcome outcome_;

  Baton::Step step_;
  bool finished_ = false;
  bool opened_before_ = false;
  Instant phase_began_;
  ThreadUse phase_use_;
  Instant linger_until_ = kNever;

  ConnectionRecords records_;
  Opener opener_;
  std::deque<Attempt> attempts_;  // under way, oldest first; some may have ended already
  std::uint32_t in_flight_ = 0;
  std::uint32_t attempt_number_ = 0;
  std::uint64_t refused_before_ = 0;  // when this phase began
  protocol::HttpLimits http_limits_;
  protocol::HttpResponseParser parser_;
  std::unordered_map<net::Descriptor, std::string> partial_answers_;

  protocol::MessageInflater inflater_;
  protocol::MessageDeflater deflater_;
  std::vector<std::byte> message_;  // one that is about to be compressed
  protocol::SessionLimits session_limits_;
  std::unordered_map<net::Descriptor, protocol::Session>
      sessions_;  // those that wait for the rest of something
  std::uint64_t random_;
  std::vector<net::Descriptor> members_;  // echo: who speaks, in turn
  std::size_t next_member_ = 0;
  std::optional<Pacer> echo_pacer_;
  Publisher publisher_;
};

}  // namespace holdfast::load
