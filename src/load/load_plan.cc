#include "load/load_plan.h"

#include <cmath>

#include "load/this_machine.h"
#include "net/descriptor_table.h"

namespace holdfast::load {
namespace {

Traffic traffic_of(const LoadOptions& options, const client::Target& target) {
  switch (options.scenario) {
    case Scenario::kEcho:
      return Traffic::kEcho;
    case Scenario::kFanout:
      return Traffic::kPublish;
    case Scenario::kSlowReader:
      return target.path.starts_with("/topics/") ? Traffic::kPublish : Traffic::kEcho;
    case Scenario::kIdle:
      return options.protocol == Speech::kPusher && options.client_ping_interval.count() > 0
                 ? Traffic::kClientPing
                 : Traffic::kNone;
    case Scenario::kStorm:
    case Scenario::kHalfOpen:
      return Traffic::kNone;
  }
  return Traffic::kNone;
}

double odd_share(const LoadOptions& options) {
  if (options.scenario == Scenario::kSlowReader) return options.slow_share;
  if (options.scenario == Scenario::kHalfOpen) return options.vanish_share;
  return 0;
}

Result<SourcePlan> plan_sources(const LoadOptions& options, const client::Target& target,
                                std::uint64_t connections) {
  const bool own = options.sources == "auto" &&
                   !(target.address.is_loopback() && target.address.family() == AF_INET);
  auto sources =
      SourcePlan::make(options.sources, target.address, local_port_range(), connections,
                       own ? addresses_towards(target.address) : std::vector<net::Address>{});
  if (!sources) {
    return failure(options.sources == "auto" ? sources.error().message
                                             : "--sources " + sources.error().message);
  }
  for (const net::Address& address : sources->ends()) {
    if (auto bound = can_bind(address); !bound) return tl::unexpected(bound.error());
  }
  return sources;
}

Result<std::shared_ptr<const protocol::TlsClientContext>> plan_tls(const LoadOptions& options,
                                                                   const client::Target& target) {
  auto tls = protocol::TlsClientContext::make(
      {.name = options.server_name.empty() ? target.host : options.server_name,
       .verify = !options.insecure,
       .ca_file = options.ca_file,
       .versions = options.tls_versions});
  if (!tls) return failure("--cafile " + tls.error().message);
  return tls;
}

}  // namespace

Result<LoadPlan> plan_load(const LoadOptions& options) {
  if (auto checked = check_options(options); !checked) return tl::unexpected(checked.error());
  LoadPlan plan;
  plan.options = options;
  auto target = client::Target::parse(options.url);
  if (!target) return tl::unexpected(target.error());
  plan.target = std::move(*target);
  if (plan.target.is_secure) {
    auto tls = plan_tls(options, plan.target);
    if (!tls) return tl::unexpected(tls.error());
    plan.tls = std::move(*tls);
  }
  if (options.protocol == Speech::kPusher) plan.target.path = pusher_path(options.pusher_app);
  plan.traffic = traffic_of(options, plan.target);
  plan.cpus = machine_facts().cpus;

  std::uint64_t connections = options.connections;
  auto sources = plan_sources(options, plan.target, connections);
  if (!sources) return tl::unexpected(sources.error());
  if (auto room = sources->check_room(connections); !room) {
    if (!options.allow_fewer) return tl::unexpected(room.error());
    connections = sources->capacity();
  }
  plan.sources = std::move(*sources);

  const std::uint64_t descriptors = net::raise_descriptor_limit().soft;
  const auto odd = static_cast<std::uint64_t>(
      std::llround(static_cast<double>(connections) * odd_share(options)));
  auto shares =
      share_out(connections - odd, options.workers, plan.cpus, descriptors, options.allow_fewer);
  if (!shares) return tl::unexpected(shares.error());
  auto odd_shares = share_out(odd, 0, 1, descriptors, options.allow_fewer);
  if (!odd_shares) return tl::unexpected(odd_shares.error());
  plan.shares = *shares;
  plan.odd_shares = *odd_shares;
  plan.fewer = options.connections - shares->connections - odd_shares->connections;
  return plan;
}

}  // namespace holdfast::load
