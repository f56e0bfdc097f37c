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

std::string survey_json(const server::Cluster& cluster, const server::Survey& survey,
                        const AdminParts& parts) {
  const auto text_of = [&parts](const std::string& topic) {
    return parts.topic_text ? parts.topic_text(topic) : topic;
  };
  json out = {{"connections_total", cluster.connections()},
              {"workers_missing", survey.workers_missing},
              {"connections", json::array()},
              {"topics", json::array()}};
  for (const server::ConnectionRow& row : survey.connections) {
    json topics = json::array();
    for (const std::string& topic : row.topics) topics.push_back(text_of(topic));
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
                                  {"age_seconds", seconds(row.known_for)},
                                  {"topics", topics},
                                  {"topic_count", row.topic_count}});
  }
  for (const server::TopicRow& topic : survey.topics)
    out["topics"].push_back({{"name", text_of(topic.name)}, {"subscribers", topic.subscribers}});
  // Names of topics need not be UTF-8.
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace holdfast::admin
