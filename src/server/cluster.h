#pragma once

// The server as its parts see it: workers on their threads, what they share, and what an operator
// may read of them.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "broker/memory_broker.h"
#include "holdfast/options.h"
#include "net/loop.h"
#include "net/unix_listener.h"
#include "server/admission.h"
#include "server/counters.h"
#include "server/listener_spec.h"
#include "server/router.h"
#include "server/sizing.h"
#include "server/survey.h"
#include "server/tls_source.h"
#include "server/worker.h"

namespace holdfast::server {

class Cluster final : public Publisher {
 public:
  explicit Cluster(Options options);
  ~Cluster() override;

  Router& router() { return router_; }
  Router& admin_router() { return admin_router_; }

  // Once, even where it failed.
  std::optional<std::string> start();
  bool is_started() const { return is_started_; }  // start() was called; its thread
  // Reads certificates and keys again, and counts how that went; any thread, after start().
  std::optional<std::string> reload_tls();
  // Every worker calls Handler::review for its peers. Any thread.
  void review();
  void drain();
  void stop();
  bool publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload,
               const PublishOptions& options = {}) override;
  bool post(PeerId peer, std::function<void(Peer&)> act);
  // Asks every worker of its connections and waits for the answers, at most so long. Not on a
  // worker's thread, but on the operator's or a stranger's.
  Survey survey(const SurveyOrder& order, Duration patience) const;

  // Any thread, after start().
  const Options& options() const { return options_; }
  Instant started() const { return started_; }
  const Sizing& sizing() const { return sizing_; }
  const Admission& admission() const { return *admission_; }
  const std::vector<std::unique_ptr<Counters>>& counters() const {
    return counters_;
  }  // one for each worker
  const std::vector<std::string>& addresses() const { return addresses_; }
  const std::string& admin_address() const { return admin_address_; }
  const std::string& io_name() const { return io_name_; }
  std::uint64_t connections() const;
  std::uint64_t descriptors() const;  // connections in any state
  // Refused by full mailboxes, of those that came from no worker's thread but through publish().
  std::uint64_t publications_lost_elsewhere() const {
    return publications_lost_.load(std::memory_order_relaxed) +
           admin_counters_.publications_lost.read();
  }
  std::vector<protocol::TlsCertificateTerm> certificates() const { return tls_.certificates(); }
  // Those that reload_tls() reads.
  std::vector<std::string> tls_files() const { return TlsSources::files(options_, listeners_); }
  std::uint64_t tls_reloads() const { return tls_reloads_.load(std::memory_order_relaxed); }
  std::uint64_t tls_reload_failures() const {
    return tls_reload_failures_.load(std::memory_order_relaxed);
  }
  bool is_draining() const { return drain_asked_.load(std::memory_order_acquire); }
  std::uint64_t descriptor_limit() const { return descriptor_limit_; }

 private:
  struct Thread;

  std::optional<std::string> load_tls();
  std::optional<std::string> prepare();
  std::optional<std::string> read_listeners();
  std::optional<std::string> read_trusted_proxies();
  std::optional<std::string> open_unix_listeners();
  void close_unix_listeners() const;
  void remove_unix_names();
  std::optional<std::string> launch(Thread& thread);
  void run(Thread& thread);
  std::optional<std::string> open_listeners(const Thread& thread, net::Loop& loop, Worker& worker);
  std::optional<std::string> open_listener(const Thread& thread, net::Loop& loop, Worker& worker,
                                           ListenerSpec& spec);
  void serve_listener(net::Loop& loop, Worker& worker, net::Descriptor listener,
                      const ListenerSpec& spec) const;
  DeflateChoice deflate_of(const ListenerSpec& spec) const;
  WorkerSettings worker_settings() const;

  Options options_;
  const std::string emergency_answer_;  // of listeners without TLS
  const Instant started_;
  bool is_started_ = false;
  std::vector<protocol::OriginPattern> origins_;
  Router router_;
  Router admin_router_;
  std::vector<IpNetwork> trusted_proxies_;
  bool trusts_unix_ = false;
  Sizing sizing_{};
  std::uint64_t descriptor_limit_ = 0;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<Admission> admin_admission_;
  TlsSources tls_;
  std::vector<std::unique_ptr<net::Waker>> wakers_;
  std::vector<std::unique_ptr<broker::Mailbox>> mailboxes_;
  std::unique_ptr<broker::Broker> broker_;
  std::vector<std::unique_ptr<Counters>> counters_;
  Counters admin_counters_;
  std::vector<std::unique_ptr<Thread>> threads_;  // the workers', then the operator's
  std::vector<ListenerSpec>
      listeners_;  // a port that the kernel chose is filled in by the first worker
  std::vector<std::unique_ptr<net::UnixListener>>
      unix_listeners_;  // one for each listener; null for those with a port
  std::vector<std::string> addresses_;
  std::string admin_address_;
  std::string io_name_;
  std::atomic<std::uint64_t> publications_lost_{0};  // by many threads
  std::atomic<std::uint32_t> reviews_asked_{0};
  std::atomic<std::uint64_t> tls_reloads_{0}, tls_reload_failures_{0};
  std::atomic<bool> drain_asked_{false};
  std::atomic<bool> stop_asked_{false};
};

}  // namespace holdfast::server
