#include <nlohmann/json.hpp>

#include "admin/metrics.h"
#include "admin/operators.h"

namespace holdfast::admin {
namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json seconds(const std::optional<Duration>& time) {
  return time ? json(std::chrono::duration<double>(*time).count()) : json(nullptr);
}

}  // namespace

std::string survey_json(const server::Cluster& cluster, const server::Survey& survey) {
  json out = {{"connections_total", cluster.connections()},
              {"workers_missing", survey.workers_missing},
              {"connections", json::array()},
              {"topics", json::array()}};
  for (const server::ConnectionRow& row : survey.connections) {
    out["connections"].push_back({{"id", id_text(row.id)},
                                  {"worker", row.id.worker},
                                  {"address", row.address},
                                  {"path", row.path},
                                  {"state", row.is_open ? "open" : "closing"},
                                  {"compressed", row.deflates},
                                  {"queued_bytes", row.queued_bytes},
                                  {"received_bytes", or_null(row.received_bytes)},
                                  {"sent_bytes", or_null(row.sent_bytes)},
                                  {"silent_seconds", seconds(row.silent_for)},
                                  {"round_trip_seconds", seconds(row.round_trip)},
                                  {"topics", row.topics},
                                  {"topic_count", row.topic_count}});
  }
  for (const server::TopicRow& topic : survey.topics)
    out["topics"].push_back({{"name", topic.name}, {"subscribers", topic.subscribers}});
  // Names of topics need not be UTF-8.
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace holdfast::admin
