// Before a connection's first request: who may come in, and who it is.

#include <algorithm>

#include "base/check.h"
#include "base/heap.h"
#include "server/worker.h"

namespace holdfast::server {
namespace {

// Peers over a limit are answered as long as there are descriptors to spare for it; more of them
// than that are cut.
constexpr std::uint32_t kRefusedAtOnceMax = 64;
// How long a worker that has more than its share leaves a shared listener alone: a few turns of the
// others.
constexpr Duration kSharedRest = std::chrono::milliseconds(5);
// Above its share by this much: 1/64, and a handful, so that a few connections do not count as a
// crowd.
constexpr std::uint64_t kShareSlackDivisor = 64;
constexpr std::uint64_t kShareSlackLeast = 8;

// So many newcomers, or handshakes, are worth the walk through the heap that gives back what they
// needed; for handshakes at most once a second.
constexpr std::uint32_t kCrowd = 256;
constexpr std::uint32_t kHandshakesLeast = 32;
constexpr std::chrono::seconds kGiveBackInterval{1};

}  // namespace

void Worker::accepted(int descriptor, net::Descriptor listener) {
  counters_.accepted.add();
  has_newcomers_ = true;
  ++newcomers_;
  const auto from = std::find_if(listeners_.begin(), listeners_.end(),
                                 [&](const Listener& one) { return one.descriptor == listener; });
  if (from == listeners_.end()) {
    // Of one that a drain has closed. What it would be served as, plain or not, nobody knows any
    // more.
    counters_.of(Refusal::kDraining).add();
    return loop_.reset(descriptor);
  }
  const ListenerTraits& traits = from->traits;
  const bool is_proxied = traits.proxy != protocol::ProxyVersions::kNone;
  if (traits.shared) has_shared_newcomers_ = true;

  Connection& connection = table_.take(descriptor);
  connection.state = is_proxied ? State::kProxyHeader : State::kRequest;
  connection.tls = traits.tls != nullptr;
  if (is_proxied || connection.tls)
    connection.route = static_cast<std::uint8_t>(from - listeners_.begin());
  connection.deflate = static_cast<std::uint8_t>(traits.deflate) & 0xF;
  connection.since = tick_of(loop_.now());
  counters_.descriptors.add();
  heads_.push(descriptor, loop_.now());

  std::optional<IpAddress> address;
  if (address_places_ != nullptr && !is_proxied) address = nearest_hop(descriptor);
  const std::optional<Refusal> refusal =
      admit(descriptor, is_trusted(address) ? std::nullopt : address);
  if (!refusal) return connection.set(Connection::kCounted);
  counters_.of(*refusal).add();
  connection.set(Connection::kRefuse);
  if (counters_.descriptors.read() <= settings_.connections_max + kRefusedAtOnceMax) return;
  table_.release(descriptor);
  counters_.descriptors.subtract();
  loop_.reset(descriptor);
}

// As long as its request has not been answered. They outlive the listener.
const ListenerTraits& Worker::traits_of(const Connection& connection) const {
  CHECK(connection.route < listeners_.size());
  return listeners_[connection.route].traits;
}

// Everything in the table beyond the limit is being refused, so connections_max bounds those who
// are in.
std::optional<Refusal> Worker::admit(int descriptor, std::optional<IpAddress> address) {
  if (counters_.descriptors.read() > settings_.connections_max) return Refusal::kWorkerFull;
  if (const auto refusal = admission_.enter(loop_.now())) return refusal;
  if (!enter_address(descriptor, address)) {
    admission_.leave();
    admission_.give_back_handshake(loop_.now());
    return Refusal::kPerAddress;
  }
  ++counted_;
  return std::nullopt;
}

// Counts the connection under its address, once. False: that address has as many as it may.
bool Worker::enter_address(int descriptor, const std::optional<IpAddress>& address) {
  if (address_places_ == nullptr || !address) return true;
  AddressCounts::Place& place = address_places_.get()[descriptor];
  if (place != 0) return true;
  const auto entered = admission_.per_address()->enter(*address);
  if (entered) place = *entered;
  return entered.has_value();
}

// Of one whose address has as many as it may, which is known only now. One that was answered before
// has had what it came for.
void Worker::give_back_handshake(const Connection& connection) {
  if (connection.has(Connection::kKeptAlive)) return;
  // `since` is when it was accepted, to the millisecond.
  const auto now = std::chrono::floor<std::chrono::milliseconds>(loop_.now());
  const std::chrono::milliseconds age(ticks_since(tick_of(loop_.now()), connection.since));
  admission_.give_back_handshake(now - age);
}

void Worker::refuse_address(int descriptor, Connection& connection) {
  give_back_handshake(connection);
  refuse(descriptor, connection, 503, Refusal::kPerAddress,
         "too many connections come from this address");
}

void Worker::leave(int descriptor, const Connection& connection) {
  if (!connection.has(Connection::kCounted)) return;
  admission_.leave();
  --counted_;
  if (address_places_ == nullptr) return;
  AddressCounts::Place& place = address_places_.get()[descriptor];
  if (place != 0) admission_.per_address()->leave(place);
  place = 0;
}

void Worker::take_proxy_header(int descriptor, Connection& connection, MutableBytes bytes) {
  using Progress = protocol::ProxyHeaderParser::Progress;
  auto& parser = connection.make_busy().proxy;
  if (parser == nullptr)
    parser = std::make_unique<protocol::ProxyHeaderParser>(traits_of(connection).proxy);
  Bytes rest = bytes;
  const Progress progress = parser->feed(rest);
  if (progress == Progress::kMore) return;
  if (progress == Progress::kError) {
    if (!connection.has(Connection::kRefuse)) counters_.of(Refusal::kProxyHeader).add();
    return release(descriptor, connection, Ending::kHandler, 1006);
  }
  connection.state = State::kRequest;
  const std::optional<IpAddress> client = nearest_hop(descriptor);
  if (!connection.has(Connection::kRefuse) && !is_trusted(client) &&
      !enter_address(descriptor, client)) {
    counters_.of(Refusal::kPerAddress).add();
    give_back_handshake(connection);
    connection.set(Connection::kRefuse);
  }
  if (rest.empty()) return;
  if (connection.tls) return take_ciphertext(descriptor, connection, bytes.last(rest.size()));
  take_request(descriptor, connection, bytes.last(rest.size()));
}

// Whom the balancer named, else the connection's own peer.
std::optional<IpAddress> Worker::nearest_hop(int descriptor) const {
  const Busy* busy = table_[descriptor].busy.get();
  if (busy != nullptr && busy->proxy != nullptr && busy->proxy->source())
    return busy->proxy->source()->address;
  const auto address = loop_.peer_address(descriptor);
  return address ? address->ip() : std::nullopt;
}

bool Worker::is_trusted(const std::optional<IpAddress>& address) const {
  if (!address) return settings_.trusts_unix;
  const auto& trusted = settings_.trusted_proxies;
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const IpNetwork& network) { return network.contains(*address); });
}

std::optional<IpAddress> Worker::client_address(int descriptor,
                                                const protocol::HttpRequest& request) const {
  const std::optional<IpAddress> nearest = nearest_hop(descriptor);
  if (!is_trusted(nearest)) return nearest;
  return protocol::forwarded_client(request.headers, settings_.forwarded_field,
                                    settings_.trusted_proxies, nearest);
}

// Behind a trusted proxy, whose connections begin without a client, a WebSocket is counted when it
// opens.
bool Worker::enter_client(int descriptor, const protocol::HttpRequest& request) {
  if (address_places_ == nullptr || address_places_.get()[descriptor] != 0) return true;
  return enter_address(descriptor, client_address(descriptor, request));
}

// A shared listener gives to whoever is quick. Connections live long, so a worker that has more
// than its share steps back.
void Worker::leave_newcomers_to_others() {
  if (!has_shared_newcomers_) return;
  has_shared_newcomers_ = false;
  const std::uint64_t share = admission_.connections() / settings_.workers;
  if (counted_ <= share + share / kShareSlackDivisor + kShareSlackLeast) return;
  for (const Listener& listener : listeners_) {
    if (listener.traits.shared && listener.descriptor >= 0)
      loop_.rest_listener(listener.descriptor, kSharedRest);
  }
}

// OpenSSL's memory of a storm goes when no handshake is under way. The rest goes when the last
// newcomer's deadline has passed: until then their entries lie between what was free.
void Worker::give_back_memory() {
  const Instant now = loop_.now();
  const bool all_in = newcomers_ >= kCrowd && heads_.next_due() == kNever;
  const bool all_shaken = tls_ != nullptr && tls_->begun >= kHandshakesLeast &&
                          tls_->shaking.empty() && tls_->waiting.empty() &&
                          now - tls_->given_back >= kGiveBackInterval;
  if (!all_in && !all_shaken) return;
  if (all_in) newcomers_ = 0;
  if (tls_ != nullptr) {
    tls_->begun = 0;
    tls_->given_back = now;
  }
  give_back_free_memory();
}

}  // namespace holdfast::server
