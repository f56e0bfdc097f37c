#pragma once

// The reports of several load machines as one: as if one machine had seen it all.
//
//   counts and histograms  added
//   series                 added second by second of the wall clock (of machines whose clocks
//                          agree, as NTP makes them)
//   times                  the longest
//   verdict                judged anew, and no better than the worst of them

#include <span>

#include "base/result.h"
#include "load/report.h"

namespace holdfast::load {

// At least one report. The error says why they do not belong together: not the same scenario, or
// series that are hours apart.
Result<Report> merge_reports(std::span<const Report> reports);

}  // namespace holdfast::load
