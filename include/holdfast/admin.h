#pragma once

// The operator's pages, for programs built on Holdfast too. Linked by holdfast::admin:
// find_package(holdfast COMPONENTS admin).

#include <functional>
#include <string>
#include <string_view>

#include "holdfast/server.h"

namespace holdfast {

// What a program adds to these pages; each may be left out. Called on the operator's thread.
struct AdminParts {
  // Further families for /metrics: Prometheus text, every line ended.
  std::function<std::string()> metrics = {};
  // The text of a JSON object whose members /stats has too.
  std::function<std::string()> stats = {};
  // What an operator is to read where a topic's name is not for people.
  std::function<std::string(std::string_view topic)> topic_text = {};
};

// Adds to the operator's listener (Options::admin), before server.start(): /healthz (200 while the
// process turns), /readyz (200, or 503 with the reason, while draining and above
// Options::high_water_percent), /metrics (Prometheus text), /stats (JSON), /connections and
// /topics (JSON), and the dashboard at /. The handlers read
// `server`, which outlives its workers.
void add_admin_routes(Server& server, const AdminParts& parts = {});

}  // namespace holdfast
