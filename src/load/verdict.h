#pragma once

// One plain word for a run.
//
//   lost             something that was asked for was not opened, not held, not delivered, or
//                    (half-open) not dropped
//   generator-bound  all was held, but a rate or a latency is the generator's, not the server's
//   held             everything asked for was opened and held
//
// It is the generator's when its workers had no time left (busy > 90 %) while the asked opening
// rate was missed, or while messages were measured; or when more than half of the p99 latency, and
// more than 5 ms, is its own lateness in sending.
//
// An opening rate that is missed by a generator with time to spare is the server's doing, and only
// noted.

#include "load/report.h"

namespace holdfast::load {

inline constexpr double kBusyShare = 0.9;
inline constexpr double kRateReachedShare = 0.95;
inline constexpr double kLastAnswerSeconds = 0.5;
inline constexpr Duration kLatenessMin = std::chrono::milliseconds(5);

// From everything in the report but its verdict.
Verdict judge(const Report& report);

// The exit code of a run with this verdict: 0 when everything asked for was opened and held,
// else 1.
int exit_code_of(const Verdict& verdict);

// "held", "generator-bound", "lost": as in JSON. The second returns kLost for any other word.
std::string_view name(Verdict::Kind kind);
Verdict::Kind verdict_kind(std::string_view name);

}  // namespace holdfast::load
