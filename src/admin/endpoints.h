#pragma once

#include "holdfast/server.h"

namespace holdfast::admin {

// Adds to the operator's listener, before server.start(): /healthz (200 while the process turns), /readyz (200 or 503 with the
// reason), /metrics (Prometheus text), /stats (JSON). The handlers read `server`, which outlives its workers.
void add_admin_endpoints(Server& server);

}  // namespace holdfast::admin
