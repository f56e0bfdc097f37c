#include "holdfast/server.h"

#include <csignal>
#include <ctime>

#include "base/check.h"
#include "base/shared_bytes.h"
#include "net/clock.h"
#include "protocol/tls_context.h"
#include "server/cluster.h"

namespace holdfast {
namespace {

constexpr std::chrono::milliseconds kDrainLook{20};
// What may come on top of drain_time: the last peer's close_timeout, and its worker's turn.
constexpr std::chrono::milliseconds kDrainGrace{2'000};

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

bool is_asked_to_end(std::chrono::milliseconds longest) {
  const sigset_t signals = ending_signals();
  const timespec timeout{.tv_sec = longest.count() / 1000,
                         .tv_nsec = longest.count() % 1000 * 1'000'000};
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

}  // namespace

bool cleanse_freed_secrets() { return protocol::use_cleansing_allocator(); }

Server::Server(Options options) : cluster_(std::make_unique<server::Cluster>(std::move(options))) {}
Server::~Server() = default;

void Server::route(std::string path, std::shared_ptr<Handler> handler) {
  CHECK(!cluster_->is_started());
  cluster_->router().add(std::move(path), std::move(handler));
}
void Server::admin_route(std::string path, std::shared_ptr<Handler> handler) {
  CHECK(!cluster_->is_started());
  cluster_->admin_router().add(std::move(path), std::move(handler));
}
std::optional<std::string> Server::start() { return cluster_->start(); }
std::optional<std::string> Server::run(const std::function<void(const Server&)>& ready) {
  // Before the workers start: they inherit the mask, so that these signals wait for this thread.
  const sigset_t signals = ending_signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  auto problem = start();
  if (!problem) {
    if (ready) ready(*this);
    while (!is_asked_to_end(std::chrono::hours(1))) continue;
    drain();
    const Options& options = cluster_->options();
    const Instant longest =
        net::monotonic_now() + options.drain_time + options.close_timeout + kDrainGrace;
    while (!is_drained() && net::monotonic_now() < longest && !is_asked_to_end(kDrainLook))
      continue;
    stop();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return problem;
}

std::vector<std::string> Server::listening() const { return cluster_->addresses(); }
std::string Server::admin_listening() const { return cluster_->admin_address(); }
std::uint32_t Server::workers() const { return cluster_->sizing().workers; }
std::uint64_t Server::connections_max() const { return cluster_->sizing().connections_max; }
std::string Server::io_name() const { return cluster_->io_name(); }
std::vector<std::string> Server::warnings() const { return cluster_->sizing().warnings; }
std::optional<std::string> Server::reload_certificates() { return cluster_->reload_tls(); }
void Server::review() { cluster_->review(); }
void Server::drain() { cluster_->drain(); }
bool Server::is_drained() const { return cluster_->is_draining() && cluster_->descriptors() == 0; }
std::uint64_t Server::connections() const { return cluster_->connections(); }
void Server::stop() { cluster_->stop(); }
Publisher& Server::publisher() { return *cluster_; }

bool Server::post(PeerId peer, std::function<void(Peer&)> act) {
  return cluster_->post(peer, std::move(act));
}
bool Server::send(PeerId peer, MessageKind kind, Bytes payload) {
  return post(peer, [kind, copy = SharedBytes::copy_of(payload)](Peer& one) {
    one.send(kind, copy.bytes());
  });
}
bool Server::close(PeerId peer, std::uint16_t code, std::string_view reason) {
  return post(peer, [code, copy = std::string(reason)](Peer& one) { one.close(code, copy); });
}

}  // namespace holdfast
