#include "holdfast/server.h"

#include "server/cluster.h"

namespace holdfast {

Server::Server(Options options) : cluster_(std::make_unique<server::Cluster>(std::move(options))) {}
Server::~Server() = default;

void Server::route(std::string path, std::shared_ptr<Handler> handler) {
  cluster_->router().add(std::move(path), std::move(handler));
}
void Server::admin_route(std::string path, std::shared_ptr<Handler> handler) {
  cluster_->admin_router().add(std::move(path), std::move(handler));
}
std::optional<std::string> Server::start() { return cluster_->start(); }
std::vector<std::string> Server::listening() const { return cluster_->addresses(); }
std::string Server::admin_listening() const { return cluster_->admin_address(); }
std::uint32_t Server::workers() const { return cluster_->sizing().workers; }
std::uint64_t Server::connections_max() const { return cluster_->sizing().connections_max; }
std::string Server::io_name() const { return cluster_->io_name(); }
std::vector<std::string> Server::warnings() const { return cluster_->sizing().warnings; }
void Server::drain() { cluster_->drain(); }
bool Server::is_drained() const { return cluster_->is_draining() && cluster_->descriptors() == 0; }
std::uint64_t Server::connections() const { return cluster_->connections(); }
void Server::stop() { cluster_->stop(); }
Publisher& Server::publisher() { return *cluster_; }

}  // namespace holdfast
