#pragma once

// One thread's share of the server: a loop, a table of connections, and the turn that joins them.
// Nothing here is touched by another thread; the doors are the mailbox (in) and the counters (out).

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "broker/broker.h"
#include "broker/mailbox.h"
#include "holdfast/options.h"
#include "net/loop.h"
#include "protocol/forwarded.h"
#include "protocol/http_request.h"
#include "protocol/origin.h"
#include "protocol/proxy_header.h"
#include "protocol/session.h"
#include "server/admission.h"
#include "server/belongings.h"
#include "server/connection_table.h"
#include "server/counters.h"
#include "server/deadline_queue.h"
#include "server/keepalive.h"
#include "server/peer_rates.h"
#include "server/router.h"
#include "server/stream_lender.h"
#include "server/survey.h"
#include "server/tls_table.h"
#include "server/transmit_queue.h"
#include "server/windows.h"
#include "topics/topic_index.h"

namespace holdfast::server {

// What every worker is told; derived from Options.
struct WorkerSettings {
  Duration ping_interval, pong_timeout, idle_batch, handshake_timeout, close_timeout, drain_time;
  std::uint64_t queue_bytes_max;
  bool drop_oldest;                // else a peer whose queue is full is disconnected
  bool conflate;                   // a newer value replaces the one that waits in a peer's queue
  std::uint32_t message_rate_max;  // of one peer, a second
  std::uint64_t byte_rate_max;
  std::string retry_after_seconds;
  protocol::HttpLimits http;
  protocol::SessionLimits session;
  std::uint32_t descriptors;      // numbers that this worker's table may hold
  std::uint32_t connections_max;  // of this worker, those being refused not counted
  std::vector<protocol::OriginPattern> origins = {};  // none: all
  std::uint32_t workers = 1;  // in all: a fair share of a shared listener is one of so many
  // Peers whose word for who is behind them counts, and the field in which they say it.
  std::vector<IpNetwork> trusted_proxies = {};
  bool trusts_unix = false;  // the peers of unix sockets are such
  protocol::ForwardedField forwarded_field = protocol::ForwardedField::kXForwardedFor;
  // With DeflateChoice::kTakeover: the largest window that is kept; 9..15.
  std::uint8_t deflate_window_bits = protocol::kWindowBitsMax;
  // TLS connections of this worker that OpenSSL keeps where detaching is on.
  std::uint32_t tls_attached_max = 1024;
};

struct ListenerTraits {
  protocol::ProxyVersions proxy = protocol::ProxyVersions::kNone;
  bool shared = false;                          // other workers accept from it too
  DeflateChoice deflate = DeflateChoice::kOff;  // whether its peers are offered compression
  const TlsSource* tls = nullptr;               // its peers speak TLS; outlives the worker
};

// A message on its way to everyone who wants `topic`: copied and framed once, here. Any thread.
broker::SharedPublication make_publication(std::string_view topic, MessageKind kind, Bytes payload,
                                           const PublishOptions& options);

class Worker final : public Publisher, private topics::TopicListener {
 public:
  // All outlive the worker. `broker` carries what handlers publish, to this worker's mailbox too,
  // which it knows by `number`.
  Worker(const WorkerSettings& settings, const Router& router, Admission& admission,
         net::Loop& loop, broker::Mailbox& mailbox, broker::Broker& broker, std::uint32_t number,
         Counters& counters);
  ~Worker() override;

  // One round: wait, take what came, say what is due, and sleep no longer than there is nothing to
  // do.
  void turn();
  // No more newcomers; the open ones are closed one after the other over drain_time. This worker's
  // thread.
  void drain();
  // From now on, and until each was seen once: Handler::review for the peers that are open.
  void review() { review_cursor_ = 0; }
  // At most 255.
  void add_listener(net::Descriptor listener, ListenerTraits traits = {}) {
    listeners_.push_back({listener, traits});
    if (traits.tls != nullptr && tls_ == nullptr)
      tls_ = std::make_unique<TlsTable>(settings_.descriptors);
  }
  bool is_empty() const { return counters_.descriptors.read() == 0; }

  // What the next turn() will ask of the loop's wait(): when there is something to do although
  // nothing comes, and until when arrivals may gather.
  Instant next_due() const;
  Instant not_before() const;
  // What Request does: who is behind a connection, as far as that can be known.
  std::optional<IpAddress> client_address(int descriptor,
                                          const protocol::HttpRequest& request) const;

  // What a connection's peer showed over TLS, as long as it is a request's; else null.
  const ClientCertificate* client_certificate(int descriptor) const;

  // What an operator asks of this worker's connections (survey.h); a walk over the table, and a few
  // system calls for each row that is told.
  Survey survey(const SurveyOrder& order);

  // What Peer does.
  void send(int descriptor, MessageKind kind, Bytes payload, std::string_view event_id);
  void subscribe(int descriptor, std::string_view topic, const SubscribeOptions& options);
  void unsubscribe(int descriptor, std::string_view topic);
  bool at_this_point_of(int descriptor, std::string_view topic, std::function<void(Peer&)> act);
  void close(int descriptor, std::uint16_t code, std::string_view reason, Ending ending);
  std::uint64_t queued_bytes(int descriptor);
  std::string address_of(int descriptor) const;
  PeerId id_of(int descriptor) { return belongings_.id(descriptor, loop_.now()); }
  Belongings& belongings() { return belongings_; }

  bool publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload,
               const PublishOptions& options = {}) override;

 private:
  // worker.cc
  void dispatch(const net::Completion& completion);
  void run_deadlines();
  static bool reads_towards_its_ping(const Connection& connection);
  void await_pong(int descriptor, Connection& connection);
  Instant judged_at(Duration patience) const;
  void run_drain();
  void run_review();
  void cut_those_closing();
  void note_turn();
  // worker_topics.cc
  // What those of one agreement (Connection::deflate) are sent of a run; `held`: in the transmit
  // queue, -1: not made yet.
  struct Form {
    Bytes wire = {};
    std::int32_t held = -1;
    std::uint64_t message_bytes = 0;  // of the messages that it compresses: before,
    std::uint64_t payload_bytes = 0;  // and after
  };
  void take_mail();
  void run_errand(const broker::Errand& errand);
  void run_windows();
  // worker_survey.cc
  ConnectionRow row_of(int descriptor);
  void fan_out(std::string_view key, std::span<const broker::SharedPublication> run);
  Form join(std::span<const broker::SharedPublication> run, std::uint8_t deflate);
  std::uint64_t value_of(const broker::Publication& publication) const;
  void topic_began(std::string_view key) override;
  void topic_ended(std::string_view key) override;
  // worker_arrivals.cc
  void accepted(int descriptor, net::Descriptor listener);
  const ListenerTraits& traits_of(const Connection& connection) const;
  std::optional<Refusal> admit(int descriptor, std::optional<IpAddress> address);
  bool enter_address(int descriptor, const std::optional<IpAddress>& address);
  void give_back_handshake(const Connection& connection);
  void refuse_address(int descriptor, Connection& connection);
  void leave(int descriptor, const Connection& connection);
  void take_proxy_header(int descriptor, Connection& connection, MutableBytes bytes);
  std::optional<IpAddress> nearest_hop(int descriptor) const;
  bool is_trusted(const std::optional<IpAddress>& address) const;
  bool enter_client(int descriptor, const protocol::HttpRequest& request);
  void leave_newcomers_to_others();
  void give_back_memory();
  // worker_tls.cc
  void take_plaintext(int descriptor, Connection& connection, MutableBytes bytes);
  void take_ciphertext(int descriptor, Connection& connection, MutableBytes bytes);
  void open_records(int descriptor, Connection& connection, MutableBytes bytes);
  void begin_handshake(int descriptor, Connection& connection, MutableBytes bytes);
  void go_on(int descriptor, Connection& connection, MutableBytes bytes);
  void go_on_with_those_put_off();
  void begin_waiting();
  bool may_begin_handshake() const;
  Instant handshake_due() const;
  std::map<int, Instant>::const_iterator longest_stalled() const;
  bool end_stalled();
  bool note_established(int descriptor, const protocol::TlsCodec& codec, bool resumed);
  void give_up_handshake(int descriptor, protocol::TlsAlert alert);
  void fail_tls(int descriptor, Connection& connection, protocol::TlsAlert alert,
                Refusal reason = Refusal::kMalformed);
  bool expire_handshake(int descriptor, Connection& connection);
  void submit_sealed(int descriptor);
  void keep_sealed(int descriptor, Connection& connection, Bytes rest);
  void seal_front(int descriptor, Outbox& outbox);
  void say_last_word(int descriptor);
  void forget_tls(int descriptor);
  // worker_requests.cc
  void take_request(int descriptor, Connection& connection, MutableBytes bytes);
  void take_requests(int descriptor, Connection& connection,
                     std::unique_ptr<protocol::HttpRequestParser>& parser, Bytes& rest);
  void continue_or_refuse(int descriptor, Connection& connection,
                          const protocol::HttpRequest& request);
  void answer(int descriptor, Connection& connection, protocol::HttpRequestParser& parser,
              Bytes& rest);
  void upgrade(int descriptor, Connection& connection, const protocol::HttpRequest& request);
  void reply(int descriptor, Connection& connection, const protocol::HttpRequest& request);
  void send_reply(int descriptor, Connection& connection, const protocol::HttpRequest& request,
                  const Reply& answer);
  void decline(int descriptor, Connection& connection, const protocol::HttpRequest& request,
               int status, Refusal reason, std::string_view text);
  void refuse(int descriptor, Connection& connection, int status, Refusal reason,
              std::string_view text = {}, bool with_body = true);
  std::string refusal_text(int status, std::string_view text, bool keep_alive,
                           bool with_body) const;
  void end_or_await_next(int descriptor, Connection& connection, bool keep_alive);
  void begin_request_deadline(int descriptor, Connection& connection);
  void end_between_requests(int descriptor, Connection& connection, Ending ending);
  void turn_away(int descriptor, Connection& connection, const Reply& reply);
  void send_text(int descriptor, std::string_view text);
  std::unique_ptr<protocol::HttpRequestParser> take_parser();
  void opened(int descriptor, Connection& connection, const Request& view);
  std::string stream_head(Reply answer) const;
  // worker_streams.cc
  void begin_stream(int descriptor, Connection& connection, const protocol::HttpRequest& request,
                    const Request& view, const Reply& answer);
  void send_event(int descriptor, Connection& connection, std::string_view id,
                  std::string_view text);
  static const SharedBytes& event_for(const broker::Publication& publication);
  void end_stream(int descriptor, Connection& connection, std::uint16_t code, Ending ending);
  // worker_frames.cc
  void take_frames(int descriptor, Connection& connection, MutableBytes bytes);
  void note_alive(Connection& connection);
  void take_event(int descriptor, Connection& connection, const protocol::Event& event);
  void take_too_much(int descriptor, Connection& connection);
  void begin_closing(int descriptor, Connection& connection, Ending ending, std::uint16_t code);
  void take_violation(int descriptor, Connection& connection, const protocol::Event& event);
  void send_message(int descriptor, Connection& connection, protocol::Opcode opcode, Bytes payload,
                    bool deflated);
  // worker_deflate.cc
  std::string_view agree_on_deflate(Connection& connection, const protocol::HttpRequest& request,
                                    std::span<char> out);
  const protocol::SessionLimits& session_limits(const Connection& connection) const;
  void send_deflated(int descriptor, Connection& connection, protocol::Opcode opcode,
                     Bytes payload);
  const SharedBytes& wire_for(const broker::Publication& publication, std::uint8_t deflate);
  void note_deflated(Connection& connection, const Form& form);
  // worker_sends.cc
  void queue(int descriptor, Connection& connection, Bytes bytes, std::int32_t shared);
  void keep(int descriptor, Outbox& outbox, const TransmitQueue::Piece& piece, std::uint32_t taken);
  void flush();
  void submit(int descriptor);
  void take_unsent(const net::Unsent& unsent);
  void keep_rest(int descriptor, Connection& connection, std::uint32_t first, std::uint32_t count,
                 std::uint32_t taken);
  void end_sent();
  void resume(int descriptor, Connection& connection);
  void end_slow(int descriptor, Connection& connection);
  void enforce_queue_limit(int descriptor, Connection& connection);
  // worker_ends.cc
  void linger(int descriptor, Connection& connection, Ending ending);
  void tell_closed(int descriptor, Connection& connection, std::uint16_t code);
  void begin_close_deadline(int descriptor, Connection& connection);
  void end_silent(int descriptor, Connection& connection);
  void prolong(int descriptor, Connection& connection, std::uint64_t taken);
  void say_the_rest(int descriptor, Connection& connection);
  void count_unanswered(const Connection& connection, Refusal reason);
  static bool has_unsent(const Connection& connection);
  void peer_gone(int descriptor, Connection& connection, int error);
  void release(int descriptor, Connection& connection, Ending ending, std::uint16_t code);
  void expire_head(int descriptor, Connection& connection);
  void drain_request(int descriptor, Connection& connection);

  const WorkerSettings settings_;
  const Router& router_;
  Admission& admission_;
  net::Loop& loop_;
  broker::Mailbox& mailbox_;
  broker::Broker& broker_;
  Counters& counters_;

  ConnectionTable table_;
  TransmitQueue transmit_;
  const std::uint32_t number_;
  topics::TopicIndex topics_;
  Windows windows_;
  PeerRates rates_;
  Belongings belongings_;
  StreamLender lender_;
  Keepalive keepalive_;
  DeadlineQueue heads_, pongs_, closes_;
  struct Listener {
    net::Descriptor descriptor;  // -1: closed
    ListenerTraits traits;       // which those who came through it need until their request
  };
  std::vector<Listener> listeners_;
  std::unique_ptr<TlsTable> tls_;                // from the first TLS listener on
  std::vector<broker::SharedPublication> mail_;  // of this turn
  std::unique_ptr<protocol::HttpRequestParser> spare_parser_;
  // By descriptor, 0: not counted under an address. Only with a limit per address.
  std::unique_ptr<AddressCounts::Place, void (*)(void*)> address_places_;
  std::uint64_t counted_ = 0;          // of this worker's connections, in Admission
  std::uint32_t newcomers_ = 0;        // since memory was given back
  bool has_shared_newcomers_ = false;  // some came in this turn through a shared listener

  // Sends handed to the loop in this flush; an Unsent's tag is an index.
  struct Submission {
    int descriptor;
    std::uint32_t first;
    std::uint32_t count;
    Bytes sealed = {};  // TLS: the records that it became
  };
  std::vector<Submission> submissions_;
  std::vector<int> resumed_;  // their sockets have room again
  // Tag of what resume() sends: it flushes at once, so no other is under way.
  static constexpr std::uint32_t kRetryTag = 0xFFFFFFFF;
  static constexpr std::uint32_t kLastWordTag = 0xFFFFFFFE;  // whether it was taken does not matter
  std::vector<int> overfull_;  // above queue_bytes_max; dealt with after the flush, when no walk
                               // over subscribers is under way
  std::vector<int> ended_;     // to be closed or shut down after the flush

  // Gathering: when may the next turn begin?
  Instant turn_started_{};
  Instant caught_up_{};         // the last turn that was told all that had come
  Instant behind_since_{};      // the first one after it
  Instant prompt_until_{};      // messages were seen: no gathering until then
  bool has_newcomers_ = false;  // some were accepted in this turn
  Instant window_started_{};
  std::uint32_t window_count_ = 0;
  bool is_busy_ = false;  // enough arrivals a second for gathering to pay

  std::optional<int> review_cursor_;  // a review is under way
  bool draining_ = false;
  Instant drain_started_{};
  int drain_cursor_ = 0;
};

}  // namespace holdfast::server
