#pragma once

// The operator's pages, for programs built on Holdfast too. Linked by holdfast::admin:
// find_package(holdfast COMPONENTS admin).

#include "holdfast/server.h"

namespace holdfast {

// Adds to the operator's listener (Options::admin), before server.start(): /healthz (200 while the
// process turns), /readyz (200, or 503 with the reason, while draining and above
// Options::high_water_percent), /metrics (Prometheus text), /stats (JSON), /connections and
// /topics (JSON), and the dashboard at /. The handlers read
// `server`, which outlives its workers.
void add_admin_routes(Server& server);

}  // namespace holdfast
