#pragma once

// One plain word for a run.
//
//   lost            something that was asked for was not opened, not held, not delivered, or
//   (half-open) not dropped generator-bound all was held, but a rate or a latency is the
//   generator's, not the server's:
//                     · the asked opening rate was missed while its workers had no time left (busy
//                     > 90 %), or · they had no time left while messages were measured, or · more
//                     than half of the p99 latency, and more than 5 ms, is its own lateness in
//                     sending
//   held            everything asked for was opened and held
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
