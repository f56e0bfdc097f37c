#pragma once

// Carries a plan out: starts the workers, leads them through the phases, and puts their results
// together.

#include <atomic>

#include "base/result.h"
#include "load/load_plan.h"
#include "load/progress.h"
#include "load/report.h"

namespace holdfast::load {

// Blocks until the run is over. When `interrupted` becomes true (from a signal handler, say) it
// ends early, with a report of what was so far. The error is of the machine: no thread, no loop, no
// descriptor table of one's own. The report's version and command line are left for the caller.
Result<Report> run_load(const LoadPlan& plan, Progress& progress,
                        const std::atomic<bool>& interrupted);

}  // namespace holdfast::load
