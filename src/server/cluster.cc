#include "server/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <future>

#include "base/check.h"
#include "base/thread.h"
#include "net/clock.h"
#include "net/descriptor_table.h"
#include "net/machine.h"

#include "server/option_bounds.h"

namespace holdfast::server {
namespace {

constexpr std::uint32_t kMailboxMax = 65'536;
constexpr std::uint32_t kAdminConnectionsMax = 256;
constexpr std::size_t kListenersMax = 255;
constexpr std::uint64_t kBacklogMax = 65'535;
// What the loop says where TLS is spoken and nothing else can be done any more: a fatal alert,
// internal_error (RFC 8446 6), which may come before anything was agreed. Elsewhere it is
// emergency_answer().
constexpr std::array kTlsEmergencyAnswer = {std::byte{21}, std::byte{3}, std::byte{3}, std::byte{0},
                                            std::byte{2},  std::byte{2}, std::byte{80}};

// As the header has it.
std::string retry_after_seconds(const Options& options) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(options.retry_after).count());
}

std::string emergency_answer(const Options& options) {
  return fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {}\r\nContent-Length: 0\r\nConnection: "
      "close\r\n\r\n",
      retry_after_seconds(options));
}

net::Io io_of(IoChoice choice) {
  switch (choice) {
    case IoChoice::kAuto:
      return net::Io::kAuto;
    case IoChoice::kUring:
      return net::Io::kUring;
    case IoChoice::kEpoll:
      return net::Io::kEpoll;
  }
  return net::Io::kAuto;
}

}  // namespace

struct Cluster::Thread {
  bool is_admin;
  std::size_t index;
  Counters* counters;
  std::promise<std::optional<std::string>> started;
  std::thread thread;
};

Cluster::Cluster(Options options)
    : options_(std::move(options)),
      emergency_answer_(emergency_answer(options_)),
      started_(net::monotonic_now()) {}
Cluster::~Cluster() { stop(); }

WorkerSettings Cluster::worker_settings() const {
  WorkerSettings settings{};
  settings.ping_interval = options_.ping_interval;
  settings.pong_timeout = options_.pong_timeout;
  settings.idle_batch = options_.idle_batch;
  settings.handshake_timeout = options_.handshake_timeout;
  settings.close_timeout = options_.close_timeout;
  settings.drain_time = options_.drain_time;
  settings.queue_bytes_max = options_.queue_bytes_max;
  settings.drop_oldest = options_.queue_full != QueueFullPolicy::kDisconnect;
  settings.conflate = options_.queue_full == QueueFullPolicy::kConflate;
  settings.message_rate_max = options_.message_rate_max;
  settings.byte_rate_max = options_.byte_rate_max;
  settings.retry_after_seconds = retry_after_seconds(options_);
  settings.http.head_bytes_max = options_.head_bytes_max;
  settings.http.headers_max = options_.headers_max;
  settings.http.body_bytes_max = options_.message_bytes_max;
  settings.session.message_bytes_max = options_.message_bytes_max;
  settings.session.fragments_max = options_.fragments_max;
  settings.deflate_window_bits = static_cast<std::uint8_t>(options_.deflate_window_bits);
  settings.descriptors = static_cast<std::uint32_t>(sizing_.descriptors);
  settings.connections_max = sizing_.connections_per_worker_max;
  settings.workers = sizing_.workers;
  settings.tls_attached_max = (options_.tls_attached_max + sizing_.workers - 1) / sizing_.workers;
  settings.forwarded_field = options_.forwarded_header == ForwardedHeader::kForwarded
                                 ? protocol::ForwardedField::kForwarded
                                 : protocol::ForwardedField::kXForwardedFor;
  settings.trusted_proxies = trusted_proxies_;
  settings.trusts_unix = trusts_unix_;
  settings.origins = origins_;
  return settings;
}

std::optional<std::string> Cluster::read_trusted_proxies() {
  for (const std::string& text : options_.trusted_proxies) {
    const auto network = IpNetwork::parse(text);
    if (network) trusted_proxies_.push_back(*network);
    if (text == "unix") trusts_unix_ = true;
    if (!network && text != "unix")
      return fmt::format("trusted_proxies: '{}' is no network; write 10.0.0.0/8, ::1 or unix",
                         text);
  }
  return std::nullopt;
}

std::optional<std::string> Cluster::load_tls() {
  // And the operator's thread.
  return tls_.load(options_, listeners_, sizing_.workers + 1, net::unix_seconds_now());
}

std::optional<std::string> Cluster::reload_tls() {
  if (admission_ == nullptr) return "certificates are read by start(), which has not been through";
  auto problem = load_tls();
  (problem ? tls_reload_failures_ : tls_reloads_).fetch_add(1, std::memory_order_relaxed);
  return problem;
}

std::optional<std::string> Cluster::prepare() {
  if (auto problem = option_out_of_bounds(options_)) return problem;
  if (auto problem = read_listeners()) return problem;
  if (auto problem = read_trusted_proxies()) return problem;
  const Machine machine{std::max(1u, std::thread::hardware_concurrency()),
                        net::descriptor_limit().hard, net::memory_available()};
  auto sizing = size_up(options_, machine);
  if (!sizing) return sizing.error().message;
  sizing_ = std::move(*sizing);
  descriptor_limit_ = net::raise_descriptor_limit(sizing_.descriptors).soft;
  if (auto problem = load_tls()) return problem;
  for (const std::string& text : options_.origins) {
    auto origin = protocol::OriginPattern::parse(text);
    if (!origin) return fmt::format("origins: {}", origin.error().message);
    origins_.push_back(std::move(*origin));
  }
  admission_ = std::make_unique<Admission>(AdmissionLimits{sizing_.connections_max,
                                                           options_.connections_per_ip_max,
                                                           options_.handshakes_per_second_max});
  if (drain_asked_.load(std::memory_order_acquire)) admission_->drain();
  admin_admission_ = std::make_unique<Admission>(AdmissionLimits{kAdminConnectionsMax, 0, 0});

  const std::size_t admin = options_.admin == "off" ? 0 : 1;
  std::vector<broker::Mailbox*> workers;
  for (std::size_t i = 0; i < sizing_.workers + admin; ++i) {
    auto waker = net::Waker::create();
    if (!waker) return waker.error().message;
    wakers_.push_back(std::move(*waker));
    mailboxes_.push_back(std::make_unique<broker::Mailbox>(*wakers_.back(), kMailboxMax));
    const bool is_admin = i == sizing_.workers;
    workers.push_back(mailboxes_.back().get());
    if (!is_admin) {
      counters_.push_back(std::make_unique<Counters>());
    }
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->is_admin = is_admin;
    threads_.back()->index = i;
    threads_.back()->counters = is_admin ? &admin_counters_ : counters_.back().get();
  }
  broker_ = std::make_unique<broker::MemoryBroker>(std::move(workers));
  return std::nullopt;
}

std::optional<std::string> Cluster::start() {
  CHECK(!is_started_);
  is_started_ = true;
  if (auto problem = prepare()) return problem;
  if (auto problem = open_unix_listeners()) {
    close_unix_listeners();
    return problem;
  }
  // One after the other: the first one's port is the others', where the kernel chooses it, and each
  // takes its private table before the next has opened anything.
  for (const auto& thread : threads_) {
    if (auto problem = launch(*thread)) {
      stop();
      close_unix_listeners();
      return problem;
    }
  }
  close_unix_listeners();
  return std::nullopt;
}

std::optional<std::string> Cluster::launch(Thread& thread) {
  auto started = thread.started.get_future();
  auto running = start_thread([this, &thread] { run(thread); });
  if (!running) {
    return fmt::format(
        "workers: the system gives {} threads and no more ({} are wanted): {}. Take "
        "fewer workers, or raise its limit (pids.max, ulimit -u)",
        thread.index, threads_.size(), running.error().message);
  }
  thread.thread = std::move(*running);
  return started.get();
}

std::optional<std::string> Cluster::read_listeners() {
  for (const std::string& text : options_.listen) {
    auto spec = ListenerSpec::parse(text);
    if (!spec) return fmt::format("listen: {}", spec.error().message);
    listeners_.push_back(std::move(*spec));
  }
  if (listeners_.size() > kListenersMax)
    return fmt::format("listen: {} addresses are more than {}", listeners_.size(), kListenersMax);
  return std::nullopt;
}

// On this thread, before any other starts: so that each worker has them in its table.
std::optional<std::string> Cluster::open_unix_listeners() {
  for (const ListenerSpec& spec : listeners_) {
    unix_listeners_.emplace_back();
    if (!spec.is_unix()) continue;
    // One queue for all workers: the kernel caps it (net.core.somaxconn).
    const std::uint64_t backlog = std::uint64_t{options_.backlog} * sizing_.workers;
    auto opened = net::UnixListener::open(std::string(spec.path()), spec.mode,
                                          static_cast<int>(std::min(backlog, kBacklogMax)));
    if (!opened) return fmt::format("listen {}: {}", spec.address, opened.error().message);
    unix_listeners_.back() = std::move(*opened);
  }
  return std::nullopt;
}

DeflateChoice Cluster::deflate_of(const ListenerSpec& spec) const {
  return spec.deflate.value_or(options_.deflate);
}

// For the thread that opened them: connections would wait in a table that nobody accepts from.
void Cluster::close_unix_listeners() const {
  for (const auto& listener : unix_listeners_) {
    if (listener != nullptr) listener->close();
  }
}

void Cluster::serve_listener(net::Loop& loop, Worker& worker, net::Descriptor listener,
                             const ListenerSpec& spec) const {
  const TlsSource* tls = tls_.of(spec);
  worker.add_listener(listener, {spec.proxy, spec.is_unix(), deflate_of(spec), tls});
  if (tls != nullptr) loop.answer_emergencies_with(listener, kTlsEmergencyAnswer);
}

std::optional<std::string> Cluster::open_listener(const Thread& thread, net::Loop& loop,
                                                  Worker& worker, ListenerSpec& spec) {
  const std::string option =
      fmt::format("{} {}", thread.is_admin ? "admin" : "listen", spec.address);
  const auto address = net::Address::parse(spec.address);
  if (!address) return fmt::format("{}: {}", option, address.error().message);
  net::ListenOptions options;
  options.backlog = static_cast<int>(options_.backlog);
  options.ipv6_only = spec.ipv6_only;
  options.user_timeout = options_.unsent_timeout;
  // Without it for the first worker, two servers could share a port unseen. It must be on for all,
  // so look before.
  options.reuse_port = !thread.is_admin;
  if (thread.index == 0 && address->port() != 0) {
    net::ListenOptions alone = options;
    alone.reuse_port = false;
    const auto probe = loop.listen(*address, alone);
    if (!probe) return fmt::format("{}: {}", option, probe.error().message);
    loop.close(*probe);
    loop.flush();
  }
  const auto listener = loop.listen(*address, options);
  if (!listener) return fmt::format("{}: {}", option, listener.error().message);
  serve_listener(loop, worker, *listener, spec);
  const auto local = loop.local_address(*listener);
  if (!local) return local.error().message;
  spec.address = local->to_string();
  return std::nullopt;
}

std::optional<std::string> Cluster::open_listeners(const Thread& thread, net::Loop& loop,
                                                   Worker& worker) {
  if (thread.is_admin) {
    for (const auto& listener : unix_listeners_) {
      if (listener != nullptr) listener->drop_own();
    }
    ListenerSpec spec;
    spec.address = options_.admin;
    spec.tls = false;
    spec.deflate = DeflateChoice::kOff;
    if (auto problem = open_listener(thread, loop, worker, spec)) return problem;
    admin_address_ = spec.address;
    return std::nullopt;
  }
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (unix_listeners_[i] == nullptr) {
      if (auto problem = open_listener(thread, loop, worker, listeners_[i])) return problem;
    } else {
      const auto listener = loop.listen_shared(unix_listeners_[i]->take_own());
      if (!listener)
        return fmt::format("listen {}: {}", listeners_[i].address, listener.error().message);
      serve_listener(loop, worker, *listener, listeners_[i]);
    }
    if (thread.index == 0) addresses_.push_back(listeners_[i].address);
  }
  return std::nullopt;
}

void Cluster::run(Thread& thread) {
  if (auto table = net::take_private_descriptor_table(); !table)
    return thread.started.set_value(table.error().message);
  net::LoopOptions loop_options;
  loop_options.io = io_of(options_.io);
  loop_options.emergency_answer = as_bytes(emergency_answer_);
  auto loop = net::make_loop(loop_options, wakers_[thread.index].get());
  if (!loop) return thread.started.set_value("io: " + loop.error().message);

  WorkerSettings settings = worker_settings();
  if (thread.is_admin) {
    settings.connections_max = kAdminConnectionsMax;
    settings.ping_interval = Duration(0);
  }
  Worker worker(settings, thread.is_admin ? admin_router_ : router_,
                thread.is_admin ? *admin_admission_ : *admission_, **loop,
                *mailboxes_[thread.index], *broker_, static_cast<std::uint32_t>(thread.index),
                *thread.counters);
  if (auto problem = open_listeners(thread, **loop, worker))
    return thread.started.set_value(std::move(problem));
  if (thread.index == 0) io_name_ = (*loop)->io_name();
  thread.started.set_value(std::nullopt);

  std::uint32_t reviews = 0;
  while (!stop_asked_.load(std::memory_order_acquire)) {
    worker.turn();
    if (const auto asked = reviews_asked_.load(std::memory_order_acquire); asked != reviews) {
      reviews = asked;
      worker.review();
    }
    // The operator's listener stays: it says that the server drains.
    if (!thread.is_admin && drain_asked_.load(std::memory_order_acquire)) worker.drain();
  }
}

// While the workers still hold the sockets: a successor's cannot be taken for ours then.
void Cluster::remove_unix_names() {
  for (const auto& listener : unix_listeners_) {
    if (listener != nullptr) listener->remove_name();
  }
}

void Cluster::review() {
  reviews_asked_.fetch_add(1, std::memory_order_release);
  for (const auto& waker : wakers_) waker->wake();
}

void Cluster::drain() {
  remove_unix_names();
  if (admission_ != nullptr) admission_->drain();
  drain_asked_.store(true, std::memory_order_release);
  for (const auto& waker : wakers_) waker->wake();
}

void Cluster::stop() {
  remove_unix_names();
  stop_asked_.store(true, std::memory_order_release);
  for (const auto& waker : wakers_) waker->wake();
  for (const auto& thread : threads_) {
    const bool called_by_a_callback = thread->thread.get_id() == std::this_thread::get_id();
    CHECK(!called_by_a_callback);  // it would wait for its own end
    if (thread->thread.joinable()) thread->thread.join();
  }
}

bool Cluster::publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload,
                      const PublishOptions& options) {
  if (broker_ == nullptr) return false;  // not started yet: nobody is there
  const std::uint32_t refused = broker_->publish(make_publication(topic, kind, payload, options));
  if (refused > 0) publications_lost_.fetch_add(refused, std::memory_order_relaxed);
  return refused == 0;
}

bool Cluster::post(PeerId peer, std::function<void(Peer&)> act) {
  // mailboxes_ is complete before the first id can be handed out.
  if (!peer || peer.worker >= mailboxes_.size() || stop_asked_.load(std::memory_order_acquire))
    return false;
  auto letter = std::make_shared<broker::Publication>();
  letter->errand = std::make_unique<const broker::Errand>(peer, std::move(act));
  return mailboxes_[peer.worker]->post(std::move(letter));
}

std::uint64_t Cluster::connections() const {
  std::uint64_t sum = 0;
  for (const auto& counters : counters_) sum += counters->connections.read();
  return sum;
}

std::uint64_t Cluster::descriptors() const {
  std::uint64_t sum = 0;
  for (const auto& counters : counters_) sum += counters->descriptors.read();
  return sum;
}

}  // namespace holdfast::server
