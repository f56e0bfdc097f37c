#include "server/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "net/descriptor_table.h"
#include "net/machine.h"

namespace holdfast::server {
namespace {

constexpr std::uint32_t kMailboxMax = 65'536;
constexpr std::uint32_t kAdminConnectionsMax = 256;
// Static storage: the loop sends it when nothing else can be done any more.
constexpr std::string_view kEmergencyAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

net::Io io_of(IoChoice choice) {
  switch (choice) {
    case IoChoice::kAuto: return net::Io::kAuto;
    case IoChoice::kUring: return net::Io::kUring;
    case IoChoice::kEpoll: return net::Io::kEpoll;
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

Cluster::Cluster(Options options) : options_(std::move(options)) {}
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
  settings.retry_after_seconds = std::to_string(std::chrono::ceil<std::chrono::seconds>(options_.retry_after).count());
  settings.http.head_bytes_max = options_.head_bytes_max;
  settings.http.body_bytes_max = options_.message_bytes_max;
  settings.session.message_bytes_max = options_.message_bytes_max;
  settings.session.fragments_max = options_.fragments_max;
  if (options_.deflate != DeflateChoice::kOff) {
    settings.deflate = protocol::DeflatePolicy{options_.deflate == DeflateChoice::kTakeover,
                                               static_cast<std::uint8_t>(options_.deflate_window_bits)};
  }
  settings.descriptors = static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptor_limit_, 1u << 30));
  settings.connections_max = sizing_.connections_per_worker_max;
  return settings;
}

std::optional<std::string> Cluster::prepare() {
  descriptor_limit_ = net::raise_descriptor_limit().soft;
  const Machine machine{std::max(1u, std::thread::hardware_concurrency()), descriptor_limit_, net::memory_available()};
  auto sizing = size_up(options_, machine);
  if (!sizing) return sizing.error().message;
  sizing_ = std::move(*sizing);
  admission_ = std::make_unique<Admission>(AdmissionLimits{sizing_.connections_max, options_.connections_per_ip_max,
                                                           options_.handshakes_per_second_max});
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
  if (auto problem = prepare()) return problem;
  // One after the other: the first one's port is the others', where the kernel chooses it, and each takes its private table
  // before the next has opened anything.
  for (const auto& thread : threads_) {
    if (auto problem = launch(*thread)) {
      stop();
      return problem;
    }
  }
  return std::nullopt;
}

std::optional<std::string> Cluster::launch(Thread& thread) {
  auto started = thread.started.get_future();
  thread.thread = std::thread([this, &thread] { run(thread); });
  return started.get();
}

std::optional<std::string> Cluster::open_listeners(Thread& thread, net::Loop& loop, Worker& worker) {
  const std::vector<std::string> wanted = thread.is_admin              ? std::vector{options_.admin}
                                          : addresses_.empty() ? options_.listen
                                                                       : addresses_;
  std::vector<std::string> bound;
  for (const std::string& text : wanted) {
    const std::string option = fmt::format("{} {}", thread.is_admin ? "admin" : "listen", text);
    const auto address = net::Address::parse(text);
    if (!address) return fmt::format("{}: {}", option, address.error().message);
    net::ListenOptions options;
    options.backlog = static_cast<int>(options_.backlog);
    // Without it for the first worker, two servers could share a port unseen. It must be on for all, so look before.
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
    worker.add_listener(*listener);
    const auto local = loop.local_address(*listener);
    if (!local) return local.error().message;
    bound.push_back(local->to_string());
  }
  if (thread.is_admin) {
    admin_address_ = bound.front();
  } else if (addresses_.empty()) {
    addresses_ = bound;
  }
  return std::nullopt;
}

void Cluster::run(Thread& thread) {
  if (auto table = net::take_private_descriptor_table(); !table) return thread.started.set_value(table.error().message);
  net::LoopOptions loop_options;
  loop_options.io = io_of(options_.io);
  loop_options.emergency_answer = as_bytes(kEmergencyAnswer);
  auto loop = net::make_loop(loop_options, wakers_[thread.index].get());
  if (!loop) return thread.started.set_value("io: " + loop.error().message);

  WorkerSettings settings = worker_settings();
  if (thread.is_admin) {
    settings.connections_max = kAdminConnectionsMax;
    settings.ping_interval = Duration(0);
  }
  Worker worker(settings, thread.is_admin ? admin_router_ : router_, thread.is_admin ? *admin_admission_ : *admission_, **loop,
                *mailboxes_[thread.index], *broker_, static_cast<std::uint32_t>(thread.index), *thread.counters);
  if (auto problem = open_listeners(thread, **loop, worker)) return thread.started.set_value(std::move(problem));
  if (thread.index == 0) io_name_ = (*loop)->io_name();
  thread.started.set_value(std::nullopt);

  while (!stop_asked_.load(std::memory_order_acquire)) {
    worker.turn();
    // The operator's listener stays: it says that the server drains.
    if (!thread.is_admin && drain_asked_.load(std::memory_order_acquire)) worker.drain();
  }
}

void Cluster::drain() {
  if (admission_ != nullptr) admission_->drain();
  drain_asked_.store(true, std::memory_order_release);
  for (const auto& waker : wakers_) waker->wake();
}

void Cluster::stop() {
  stop_asked_.store(true, std::memory_order_release);
  for (const auto& waker : wakers_) waker->wake();
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
}

bool Cluster::publish(std::string_view topic, MessageKind kind, std::span<const std::byte> payload, const PublishOptions& options) {
  return broker_->publish(make_publication(topic, kind, payload, options)) == 0;
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
