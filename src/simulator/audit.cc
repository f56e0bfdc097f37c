// The invariants. After every turn of a worker, what it did is held against what the simulation
// knows from the outside.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "protocol/frame.h"
#include "simulator/simulation.h"

namespace holdfast::simulator {
namespace {

using std::chrono::milliseconds;

// Deadlines are kept to a millisecond, and a missed pong may be noticed a little later.
constexpr Duration kSlack = milliseconds(120);
constexpr Duration kTick = milliseconds(2);
// A response that refuses: no queue bounds it, and there is one for each connection.
constexpr std::uint64_t kResponseBytesMax = 512;
// Requests that lie one behind the other are answered until the answers pass the bound: the last of
// them, and a refusal. What one turn reads in several pieces is looked at piece by piece.
constexpr std::uint64_t kAnswersBytesMax = 4 * 1'024;
// What a server says in a TLS handshake, with its certificate and a ticket.
constexpr std::uint64_t kHandshakeBytesMax = 4 * 1'024;

template <class Counters>
std::uint64_t sum_of(const Counters& counters) {
  return std::accumulate(
      counters.begin(), counters.end(), std::uint64_t{0},
      [](std::uint64_t sum, const server::Counter& counter) { return sum + counter.read(); });
}

std::uint64_t read(const server::Counters& counters, server::Refusal reason) {
  return counters.refused[static_cast<std::size_t>(reason)].read();
}
std::uint64_t read(const server::Counters& counters, server::Ending reason) {
  return counters.ended[static_cast<std::size_t>(reason)].read();
}

}  // namespace

void Simulation::fail(const Post& post, std::string_view what) {
  world_.trace.fail(fmt::format("worker {}: {}", index_of(post), what));
}

void Simulation::audit(Post& post) {
  ledger_.follow_mail(post);
  for (const Link* link : post.loop->take_closed()) judge_close(post, *link);
  check_counters(post);
  check_tls(post);
  check_queues(post);
  check_deadlines(post);
  check_limits();
}

// ---- ends

void Simulation::judge_close(Post& post, const Link& link) {
  const Facts& facts = link.facts;
  if (facts.was_opened) {
    if (!facts.was_ended)
      fail(post, fmt::format("peer {} was closed and its handler not told", link.id));
    if (reason_of_end(link).empty())
      fail(post, fmt::format("peer {} was closed without a reason", link.id));
    return;
  }
  const std::string_view reason = reason_of_early_end(link);
  if (reason.empty())
    fail(post, fmt::format("peer {} was closed before its WebSocket was open, without a reason",
                           link.id));
  // The answer of one that left in the same turn never reaches the loop, so of some it cannot be
  // said.
  const bool may_be_answered =
      facts.was_answered || peers_[static_cast<std::size_t>(link.id)].asks_for_pages();
  if (facts.was_refused || !may_be_answered) {
    ++post.refused;
  } else {
    ++post.answered_alone;
  }
}

// Of a connection that never was a WebSocket.
std::string_view Simulation::reason_of_early_end(const Link& link) const {
  const Facts& facts = link.facts;
  const server::WorkerSettings& settings = world_.scenario.settings;
  const Duration age = world_.now - facts.accepted_at + kTick;
  if (link.end_told || link.failure != 0) return "it left";
  if (link.is_tls_over) return "it ended TLS, or spoke none";
  if (link.is_header_wrong) return "it came without a PROXY header, or with a wrong one";
  const bool is_header_late = facts.bytes_read < link.header_bytes;
  if (is_header_late && age >= settings.handshake_timeout) return "its PROXY header did not come";
  if (link.is_reset && facts.accepted_at == facts.http_at) return "too many are being refused";
  // What is said in TLS cannot be seen here.
  if ((facts.was_refused || facts.was_answered || link.is_tls) && age >= settings.close_timeout) {
    return "it did not leave when all was said";
  }
  const bool asks_for_pages = peers_[static_cast<std::size_t>(link.id)].asks_for_pages();
  const bool may_be_answered = facts.was_answered || (link.is_tls && asks_for_pages);
  if (may_be_answered && age >= settings.handshake_timeout) return "it asked nothing more";
  // The 408 waits behind other answers, where the loop does not see it.
  if (age >= settings.handshake_timeout + settings.close_timeout)
    return "it did not take its answers";
  if (facts.was_short && asks_for_pages) return "it asks on and takes no answer";
  if (world_.is_draining) return "drain";
  return {};
}

std::string_view Simulation::reason_of_end(const Link& link) const {
  const Facts& facts = link.facts;
  const server::WorkerSettings& settings = world_.scenario.settings;
  const Peer& peer = peers_[static_cast<std::size_t>(link.id)];
  if (link.end_told || link.failure != 0) return "it left";
  if (peer.has_said_close()) return "it closed";
  if (link.is_tls_over) return "it ended TLS, or broke it";
  if (world_.now - facts.ended_at + kTick >= settings.close_timeout)
    return "it did not answer the Close";
  if (world_.is_draining &&
      world_.now - world_.drains_since + kTick >= settings.drain_time + settings.close_timeout)
    return "the drain is over";
  if (facts.was_short) return "its queue is full";
  const Duration silent = world_.now - std::max(facts.received_at, facts.read_on_at);
  if (settings.ping_interval > Duration(0) && silent + kTick >= settings.pong_timeout) {
    // One who keeps up has answered at once: then its pong lies there unread, and the server is
    // late. But for one whose ping had to wait for room.
    const bool has_answered =
        peer.keeps_up() && !peer.is_guilty() && facts.short_at <= facts.received_at;
    return has_answered ? "" : "it did not answer the ping";
  }
  return {};
}

// ---- what the counters say

void Simulation::check_counters(const Post& post) {
  const server::Counters& counters = *post.counters;
  const SimulatedLoop& loop = *post.loop;
  const auto same = [&](std::string_view what, std::uint64_t counted, std::uint64_t known) {
    if (counted != known)
      fail(post, fmt::format("counts {} {}, and there were {}", counted, what, known));
  };
  const auto held = static_cast<std::uint64_t>(
      std::count_if(loop.held().begin(), loop.held().end(),
                    [](const Link* link) { return link->stage == Link::Stage::kHeld; }));
  same("connections accepted", counters.accepted.read(), loop.accepted());
  same("failures of accept", read(counters, server::Refusal::kDescriptors), loop.accept_failures());
  same("descriptors", counters.descriptors.read(), held);
  same("WebSockets opened", counters.opened.read(), post.opened);
  same("WebSockets open and ended", counters.connections.read() + sum_of(counters.ended),
       post.opened);
  same("requests", counters.requests.read(), post.requests);
  same("deliveries", counters.deliveries.read(), post.deliveries);
  same("publications lost", counters.publications_lost.read(), post.lost);
  if (!world_.scenario.settings.conflate)
    same("conflated", counters.messages_conflated.read(), post.conflated);
  // Where windows are kept, the stream must go on with what does not get smaller too.
  if (world_.scenario.deflate != DeflateChoice::kTakeover &&
      counters.deflated_payload_bytes.read() > counters.deflated_message_bytes.read())
    fail(post, "compression makes messages larger");
  same("bytes received", counters.bytes_received.read(), loop.bytes_read());
  same("pongs missed", counters.pongs_missed.read(), read(counters, server::Ending::kPongMissed));
  if (counters.messages_received.read() < post.messages)
    fail(post, "handlers were given more messages than were received");
  if (post.missed > counters.messages_dropped.read() + counters.messages_conflated.read())
    fail(post, "a publication was dropped and not counted");
  // Counted before it is sealed.
  if (world_.tls == nullptr &&
      counters.bytes_sent.read() < loop.bytes_taken() + counters.queued_bytes.read()) {
    fail(post, "sockets took, or wait for, more than was sent");
  }
}

void Simulation::check_tls(const Post& post) {
  const server::Counters& counters = *post.counters;
  if (counters.tls_unexpected.read() != 0)
    fail(post, "a TLS handshake that all is well with was not taken over");
  if (world_.scenario.detaches && !world_.scenario.allows_tls12 &&
      counters.tls_attached.read() != 0)
    fail(post, "TLS 1.2 where it is not allowed");
  if (counters.tls_resumed.read() > counters.tls_established.read() ||
      counters.tls_held.read() > counters.descriptors.read())
    fail(post, "the counters of TLS do not add up");
}

void Simulation::check_queues(const Post& post) {
  check_interest(post);
  if (post.mail.size() > post.mail_taken && !post.loop->is_woken())
    fail(post, "mail waits and nobody will wake the worker");
  std::uint64_t all = 0;
  for (Link* link : post.loop->held()) {
    if (link->stage != Link::Stage::kHeld) continue;
    // One that ended its side alone may still be said the rest.
    if (link->end_told && !link->wants_writable)
      fail(post, fmt::format("peer {} left and was not closed", link->id));
    const std::uint64_t waiting = post.worker->queued_bytes(link->descriptor);
    if (const std::uint64_t most = waiting_bytes_max(*link); waiting > most) {
      fail(post, fmt::format("{} bytes wait for peer {}, of which {} are the most", waiting,
                             link->id, most));
    }
    all += waiting;
    std::optional<std::uint64_t>& left = link->facts.left_waiting;
    if (link->facts.was_ended) left = std::min(waiting, left.value_or(waiting));
  }
  const std::uint64_t counted = post.counters->queued_bytes.read();
  if (counted != all)
    fail(post,
         fmt::format("counts {} bytes that wait for sockets, and there are {}", counted, all));
}

// What may wait for a peer when a turn is over. A message is admitted whole, whatever waits
// already, but the queue is looked at when the turn ends: of a WebSocket that goes on, it is under
// its bound then, control frames included.
std::uint64_t Simulation::waiting_bytes_max(const Link& link) const {
  const Facts& facts = link.facts;
  std::uint64_t bytes = world_.scenario.settings.queue_bytes_max;
  if (!facts.was_opened) {
    const bool asks_for_pages = peers_[static_cast<std::size_t>(link.id)].asks_for_pages();
    bytes += asks_for_pages ? kAnswersBytesMax : kResponseBytesMax;
  } else if (facts.was_ended) {
    // What was said in the turn of its end may still leave, however much that is. From then on
    // nothing is added but a Close; its deadline bounds the rest.
    if (!facts.left_waiting) return std::numeric_limits<std::uint64_t>::max();
    bytes = std::max(bytes, *facts.left_waiting) + protocol::kCloseFrameBytesMax;
  }
  // What waits is sealed when there is room for it, after that look: records of the shortest kind
  // are 512 bytes in 534.
  return link.is_tls ? bytes + bytes / 16 + kHandshakeBytesMax : bytes;
}

// A worker is sent the publications of a topic as long as somebody here wants it, and no longer.
void Simulation::check_interest(const Post& post) {
  for (std::uint32_t topic = 0; topic < kTopics; ++topic) {
    const bool is_wanted =
        std::any_of(post.loop->held().begin(), post.loop->held().end(), [&](const Link* link) {
          return link->facts.was_opened && !link->facts.was_ended &&
                 (link->facts.subscribed >> topic & 1) != 0;
        });
    if (is_wanted == (post.interest[topic] > 0)) continue;
    fail(post, fmt::format("{} is wanted by {}, and the broker believes otherwise",
                           topic_name(topic), is_wanted ? "somebody" : "nobody"));
  }
}

// ---- what must not last

void Simulation::check_deadlines(const Post& post) {
  const server::WorkerSettings& settings = world_.scenario.settings;
  // What a jump delays, it may delay twice: the ping, and the look at the pong.
  Duration slack = kSlack + 2 * world_.excused;
  // A worker that cannot hear all at once is patient for twice as long.
  if (post.loop->is_behind()) slack += std::max(settings.pong_timeout, settings.handshake_timeout);
  const Duration quiet_max =
      settings.ping_interval + settings.ping_interval / 6 + settings.pong_timeout;
  for (const Link* link : post.loop->held()) {
    const Facts& facts = link->facts;
    if (link->stage != Link::Stage::kHeld) continue;
    if (!facts.was_opened) {
      // An answer that waits behind others is not seen; it is given to what was read.
      const bool may_be_answered = peers_[static_cast<std::size_t>(link->id)].asks_for_pages();
      const Instant heard = may_be_answered ? facts.received_at : facts.http_at;
      const Instant since = std::max({facts.http_at, heard, facts.took_at});
      if (world_.now - since > settings.handshake_timeout + settings.close_timeout + slack) {
        fail(post, fmt::format("peer {} is in its handshake for too long", link->id));
      }
    } else if (facts.was_ended) {
      // As long as it takes something, it is not late.
      if (world_.now - std::max(facts.ended_at, facts.took_at) >
          2 * settings.close_timeout + slack) {
        fail(post, fmt::format("peer {} is being closed for too long", link->id));
      }
    } else if (settings.ping_interval > Duration(0) &&
               world_.now - std::max(facts.received_at, facts.read_on_at) > quiet_max + slack) {
      fail(post, fmt::format("peer {} is silent for too long", link->id));
    }
  }
}

void Simulation::check_limits() {
  const server::AdmissionLimits& limits = world_.scenario.admission;
  std::uint64_t open = 0;
  std::map<std::uint32_t, std::uint32_t> of_address;
  for (const Post& post : posts_) {
    open += post.counters->connections.read();
    for (const Link* link : post.loop->held()) {
      if (link->stage == Link::Stage::kHeld && link->facts.was_opened) ++of_address[link->address];
    }
  }
  if (admission_.connections() > limits.connections_max)
    world_.trace.fail("more connections than connections_max");
  if (open > admission_.connections())
    world_.trace.fail("more WebSockets are open than were admitted");
  if (limits.per_address_max > 0) {
    for (const auto& [address, count] : of_address) {
      if (count > limits.per_address_max) world_.trace.fail("an address has more than its share");
    }
  }
  if (limits.handshakes_per_second_max > 0 && !ledger_.opened_by_second().empty() &&
      ledger_.opened_by_second().rbegin()->second > limits.handshakes_per_second_max) {
    world_.trace.fail("more handshakes in a second than may be");
  }
}

// ---- when all is over

void Simulation::check_end() {
  for (const Post& post : posts_) {
    const server::Counters& counters = *post.counters;
    if (!post.worker->is_empty() || !post.loop->held().empty())
      return fail(post, "the drain does not end");
    if (counters.tls_held.read() != 0) return fail(post, "OpenSSL holds a connection of nobody");
    if (counters.queued_bytes.read() != 0) fail(post, "bytes wait for nobody");
    if (post.ended != post.opened)
      fail(post, fmt::format("close() was called {} times and open() {}", post.ended, post.opened));
    const std::uint64_t refused =
        sum_of(counters.refused) - read(counters, server::Refusal::kDescriptors);
    // accepted = opened + refused + those that only asked for pages
    if (refused < post.refused || refused > post.refused + post.answered_alone) {
      fail(post, fmt::format("counts {} refused, and there were {}; {} more got answers alone",
                             refused, post.refused, post.answered_alone));
    }
  }
  if (admission_.connections() != 0) world_.trace.fail("a place is taken by nobody");
}

}  // namespace holdfast::simulator
