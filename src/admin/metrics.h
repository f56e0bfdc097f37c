#pragma once

// The counters in the two forms that machines read.

#include <string>

#include "holdfast/admin.h"
#include "server/cluster.h"

namespace holdfast::admin {

// Prometheus text format 0.0.4. Metric names begin with holdfast_; docs/operating.md lists them.
std::string metrics_text(const server::Cluster& cluster, const AdminParts& parts = {});
// The same figures as one JSON object.
std::string stats_json(const server::Cluster& cluster, const AdminParts& parts = {});
// Connections one by one, and the largest topics, as one JSON object (docs/operating.md).
std::string survey_json(const server::Cluster& cluster, const server::Survey& survey,
                        const AdminParts& parts = {});

}  // namespace holdfast::admin
