#include "admin/metrics.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "admin/readiness.h"
#include "holdfast/version.h"
#include "net/clock.h"
#include "net/machine.h"

namespace holdfast::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using server::Counter;
using server::Counters;

struct Plain {
  const char* name;
  const char* help;
  Counter Counters::* counter;
  MetricType type;
};

constexpr Plain kPlain[] = {
    {"holdfast_accepted_total", "TCP connections accepted", &Counters::accepted,
     MetricType::Counter},
    {"holdfast_event_streams", "Of the open connections, those that read server-sent events",
     &Counters::event_streams, MetricType::Gauge},
    {"holdfast_opened_total", "WebSockets opened", &Counters::opened, MetricType::Counter},
    {"holdfast_requests_total", "Plain HTTP requests answered", &Counters::requests,
     MetricType::Counter},
    {"holdfast_pings_sent_total", "Keepalive pings sent", &Counters::pings_sent,
     MetricType::Counter},
    {"holdfast_pongs_received_total", "Pongs received", &Counters::pongs_received,
     MetricType::Counter},
    {"holdfast_pongs_missed_total", "Peers dropped for their silence", &Counters::pongs_missed,
     MetricType::Counter},
    {"holdfast_messages_received_total", "Messages received", &Counters::messages_received,
     MetricType::Counter},
    {"holdfast_messages_sent_total", "Messages sent by handlers", &Counters::messages_sent,
     MetricType::Counter},
    {"holdfast_publications_total", "Publications taken by workers (each worker takes each)",
     &Counters::publications, MetricType::Counter},
    {"holdfast_publications_lost_total", "Publications that a worker's full mailbox refused",
     &Counters::publications_lost, MetricType::Counter},
    {"holdfast_deliveries_total", "Publications queued for a subscriber", &Counters::deliveries,
     MetricType::Counter},
    {"holdfast_messages_dropped_total", "Messages dropped from the queue of a slow reader",
     &Counters::messages_dropped, MetricType::Counter},
    {"holdfast_messages_conflated_total",
     "Messages whose place a newer value took before they were sent", &Counters::messages_conflated,
     MetricType::Counter},
    {"holdfast_deflate_agreed_total", "WebSockets that agreed on permessage-deflate",
     &Counters::deflate_agreed, MetricType::Counter},
    {"holdfast_deflated_message_bytes_total", "Messages sent compressed: bytes before",
     &Counters::deflated_message_bytes, MetricType::Counter},
    {"holdfast_deflated_payload_bytes_total", "Messages sent compressed: bytes after",
     &Counters::deflated_payload_bytes, MetricType::Counter},
    {"holdfast_tls_established_total", "TLS handshakes completed", &Counters::tls_established,
     MetricType::Counter},
    {"holdfast_tls_resumed_total", "TLS handshakes completed by a ticket", &Counters::tls_resumed,
     MetricType::Counter},
    {"holdfast_tls_attached_total",
     "TLS connections left with OpenSSL (TLS 1.2, or tls-detach off)", &Counters::tls_attached,
     MetricType::Counter},
    {"holdfast_tls_unexpected_total",
     "TLS 1.3 connections left with OpenSSL because a check before detaching failed",
     &Counters::tls_unexpected, MetricType::Counter},
    {"holdfast_tls_attached", "TLS connections that OpenSSL holds now", &Counters::tls_held,
     MetricType::Gauge},
    {"holdfast_tls_attached_refused_total",
     "TLS connections refused because OpenSSL holds tls-attached-max", &Counters::tls_old_refused,
     MetricType::Counter},
    {"holdfast_tls_failed_total", "TLS handshakes and connections that failed",
     &Counters::tls_failed, MetricType::Counter},
    {"holdfast_tls_waited_total", "TLS handshakes that waited for others to end",
     &Counters::tls_waited, MetricType::Counter},
    {"holdfast_tls_secrets_unlocked",
     "Workers whose TLS secrets may come into swap: RLIMIT_MEMLOCK is too small",
     &Counters::tls_unlocked, MetricType::Gauge},
    {"holdfast_received_bytes_total", "Bytes received", &Counters::bytes_received,
     MetricType::Counter},
    {"holdfast_sent_bytes_total", "Bytes queued for sending", &Counters::bytes_sent,
     MetricType::Counter},
    {"holdfast_queued_bytes", "Bytes waiting for slow readers", &Counters::queued_bytes,
     MetricType::Gauge},
};

ClientMetric metric(MetricType type, double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric result;
  result.label = std::move(labels);
  if (type == MetricType::Counter) {
    result.counter.value = value;
  } else {
    result.gauge.value = value;
  }
  return result;
}

double sum(const server::Cluster& cluster, auto read) {
  double total = 0;
  for (const auto& counters : cluster.counters()) total += static_cast<double>(read(*counters));
  return total;
}

MetricFamily gauge(const char* name, const char* help, double value) {
  return {name, help, MetricType::Gauge, {metric(MetricType::Gauge, value)}};
}

// Of all workers, and of what no worker did.
std::uint64_t value_of(const server::Cluster& cluster, const Plain& plain) {
  const double of_workers =
      sum(cluster, [&](const Counters& c) { return (c.*plain.counter).read(); });
  const bool is_lost = plain.counter == &Counters::publications_lost;
  return static_cast<std::uint64_t>(of_workers) +
         (is_lost ? cluster.publications_lost_elsewhere() : 0);
}

template <std::size_t N>
MetricFamily by_reason(const server::Cluster& cluster, const char* name, const char* help,
                       std::array<Counter, N> Counters::* counters,
                       const std::array<std::string_view, N>& names) {
  MetricFamily family{name, help, MetricType::Counter, {}};
  for (std::size_t i = 0; i < N; ++i) {
    const double value = sum(cluster, [&](const Counters& c) { return (c.*counters)[i].read(); });
    family.metric.push_back(
        metric(MetricType::Counter, value, {{"reason", std::string(names[i])}}));
  }
  return family;
}

MetricFamily connections_by_worker(const server::Cluster& cluster) {
  MetricFamily family{"holdfast_connections", "Open WebSockets", MetricType::Gauge, {}};
  for (std::size_t i = 0; i < cluster.counters().size(); ++i) {
    const auto value = static_cast<double>(cluster.counters()[i]->connections.read());
    family.metric.push_back(metric(MetricType::Gauge, value, {{"worker", std::to_string(i)}}));
  }
  return family;
}

MetricFamily turn_lengths(const server::Cluster& cluster) {
  MetricFamily family{"holdfast_loop_turn_seconds",
                      "Length of a worker's turn, without its sleep",
                      MetricType::Histogram,
                      {}};
  ClientMetric histogram;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < server::kTurnBuckets; ++i) {
    cumulative += static_cast<std::uint64_t>(
        sum(cluster, [&](const Counters& c) { return c.turn_lengths[i].read(); }));
    const bool last = i + 1 == server::kTurnBuckets;
    const double bound =
        last ? std::numeric_limits<double>::infinity() : std::ldexp(1e-6, static_cast<int>(i));
    histogram.histogram.bucket.push_back({cumulative, bound});
  }
  histogram.histogram.sample_count = cumulative;
  histogram.histogram.sample_sum =
      sum(cluster, [](const Counters& c) { return c.turn_nanoseconds.read(); }) / 1e9;
  family.metric.push_back(histogram);
  return family;
}

// Without certificates, nothing is said of them.
void add_certificates(const server::Cluster& cluster, std::vector<MetricFamily>& families) {
  const auto terms = cluster.certificates();
  if (terms.empty()) return;
  MetricFamily ends{"holdfast_tls_certificate_not_after_seconds",
                    "When a certificate in force ends, in seconds since 1970",
                    MetricType::Gauge,
                    {}};
  for (const auto& term : terms)
    ends.metric.push_back(metric(MetricType::Gauge, static_cast<double>(term.not_after),
                                 {{"file", term.name}, {"subject", term.subject}}));
  families.push_back(ends);
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    families.push_back({name,
                        help,
                        MetricType::Counter,
                        {metric(MetricType::Counter, static_cast<double>(value))}});
  };
  counter("holdfast_tls_reloads_total", "Certificates and keys read again", cluster.tls_reloads());
  counter("holdfast_tls_reload_failures_total",
          "Certificates and keys not taken, those of before stayed", cluster.tls_reload_failures());
}

struct Memory {
  double user;
  double user_per_connection;
  double kernel_per_connection;
};

Memory memory(const server::Cluster& cluster) {
  const auto user = static_cast<double>(net::user_memory());
  const auto connections = static_cast<double>(cluster.connections());
  return {user, connections == 0 ? 0 : user / connections,
          static_cast<double>(net::kernel_bytes_per_socket())};
}

}  // namespace

std::string metrics_text(const server::Cluster& cluster, const AdminParts& parts) {
  std::vector<MetricFamily> families;
  families.push_back(connections_by_worker(cluster));
  for (const Plain& plain : kPlain) {
    const auto value = static_cast<double>(value_of(cluster, plain));
    families.push_back({plain.name, plain.help, plain.type, {metric(plain.type, value)}});
  }
  families.push_back(by_reason(cluster, "holdfast_refused_total",
                               "Connections that never became a WebSocket", &Counters::refused,
                               server::kRefusalNames));
  families.push_back(by_reason(cluster, "holdfast_closed_total", "WebSockets ended",
                               &Counters::ended, server::kEndingNames));
  MetricFamily used{"holdfast_used", "Of a limited resource", MetricType::Gauge, {}};
  MetricFamily limit{
      "holdfast_limit", "The resource's limit; 0: none is known", MetricType::Gauge, {}};
  const auto limited = resources(cluster);
  for (const Resource& resource : limited) {
    used.metric.push_back(metric(MetricType::Gauge, static_cast<double>(resource.used),
                                 {{"resource", resource.name}}));
    limit.metric.push_back(metric(MetricType::Gauge, static_cast<double>(resource.limit),
                                  {{"resource", resource.name}}));
  }
  families.push_back(used);
  families.push_back(limit);
  const Memory bytes = memory(cluster);
  families.push_back(
      gauge("holdfast_user_memory_bytes", "Proportional set size of the process", bytes.user));
  families.push_back(gauge("holdfast_user_memory_per_connection_bytes",
                           "Of it, for each open WebSocket", bytes.user_per_connection));
  families.push_back(gauge("holdfast_kernel_memory_per_connection_bytes",
                           "Kernel memory of one socket, by its slab sizes",
                           bytes.kernel_per_connection));
  const bool ready =
      readiness(limited, cluster.is_draining(), cluster.options().high_water_percent).ready;
  families.push_back(gauge("holdfast_ready", "What /readyz says", ready ? 1 : 0));
  families.push_back(
      gauge("holdfast_workers", "Worker threads", static_cast<double>(cluster.sizing().workers)));
  families.push_back(turn_lengths(cluster));
  add_certificates(cluster, families);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str() + (parts.metrics ? parts.metrics() : "");
}

std::string stats_json(const server::Cluster& cluster, const AdminParts& parts) {
  using nlohmann::json;
  json out;
  json per_worker = json::array();
  for (const auto& counters : cluster.counters())
    per_worker.push_back(counters->connections.read());
  out["connections"] = cluster.connections();
  out["connections_max"] = cluster.sizing().connections_max;
  out["connections_per_worker"] = per_worker;
  out["workers"] = cluster.sizing().workers;
  out["io"] = cluster.io_name();
  constexpr std::string_view kPrefix = "holdfast_";
  for (const Plain& plain : kPlain) {
    out[plain.name + kPrefix.size()] = value_of(cluster, plain);
  }
  for (std::size_t i = 0; i < server::kRefusalNames.size(); ++i) {
    out["refused"][std::string(server::kRefusalNames[i])] = static_cast<std::uint64_t>(
        sum(cluster, [&](const Counters& c) { return c.refused[i].read(); }));
  }
  for (std::size_t i = 0; i < server::kEndingNames.size(); ++i) {
    out["closed"][std::string(server::kEndingNames[i])] = static_cast<std::uint64_t>(
        sum(cluster, [&](const Counters& c) { return c.ended[i].read(); }));
  }
  const auto limited = resources(cluster);
  for (const Resource& resource : limited)
    out["resources"][resource.name] = {{"used", resource.used}, {"limit", resource.limit}};
  for (const auto& term : cluster.certificates()) {
    out["certificates"].push_back(
        {{"file", term.name},
         {"subject", term.subject},
         {"not_after", term.not_after},
         {"days_left", (term.not_after - net::unix_seconds_now()) / (24 * 60 * 60)}});
  }
  const Memory bytes = memory(cluster);
  out["memory"] = {{"user_bytes", bytes.user},
                   {"user_bytes_per_connection", bytes.user_per_connection},
                   {"kernel_bytes_per_connection", bytes.kernel_per_connection}};
  const Readiness state =
      readiness(limited, cluster.is_draining(), cluster.options().high_water_percent);
  out["ready"] = state.ready;
  out["ready_reason"] = state.reason;
  const double turns = sum(cluster, [](const Counters& c) { return c.turns.read(); });
  const double turn_ns = sum(cluster, [](const Counters& c) { return c.turn_nanoseconds.read(); });
  out["version"] = fmt::format("{}.{}.{}", HOLDFAST_VERSION_MAJOR, HOLDFAST_VERSION_MINOR,
                               HOLDFAST_VERSION_PATCH);
  out["uptime_seconds"] =
      std::chrono::duration<double>(net::monotonic_now() - cluster.started()).count();
  out["listening"] = cluster.addresses();
  out["turns"] = {{"count", turns}, {"mean_microseconds", turns == 0 ? 0 : turn_ns / turns / 1000}};
  if (parts.stats) out.update(json::parse(parts.stats()));
  return out.dump(2) + "\n";
}

}  // namespace holdfast::admin
