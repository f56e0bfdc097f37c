#pragma once

// From what the workers counted to one report.

#include <span>

#include "load/conductor.h"
#include "load/load_plan.h"
#include "load/report.h"
#include "load/worker.h"

namespace holdfast::load {

// `origin` is the instant at which second `series_start` (since 1970) began. Own use, odd peers,
// machine, version and verdict are left for the caller.
Report assemble_report(const LoadPlan& plan, const Conductor& conductor,
                       std::span<const WorkerOutcome> outcomes, Instant origin,
                       std::int64_t series_start);

}  // namespace holdfast::load
