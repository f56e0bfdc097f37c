#include "server/keepalive.h"

#include <algorithm>

namespace holdfast::server {
namespace {

// So many passes share the second looks at newcomers: at one pass, those of a storm would make some
// seconds fuller than others. The last is well before half the interval, so that the next phase
// still finds them silent for long enough.
constexpr std::uint32_t kSecondLooks = 6;

}  // namespace

void Keepalive::wake(Instant now) {
  if (next_due_ != kNever || interval_ == Duration(0)) return;
  last_run_ = now;
  schedule(now, table_.end());
}

// How far the walk has to go to keep its pace of kPasses tables an interval. At most one whole
// table: after a long stall the missed passes are not caught up in one burst.
int Keepalive::steps_until(Instant now, int end) {
  const double tables = static_cast<double>((now - last_run_).count()) * kPasses /
                        static_cast<double>(interval_.count());
  last_run_ = now;
  const double due = std::min(tables, 1.0) * end + carried_;
  const int steps = static_cast<int>(due);
  carried_ = due - steps;
  return steps;
}

bool Keepalive::is_due(Connection& connection, Instant now) const {
  if (connection.has(Connection::kPinged)) return false;
  const auto silent = std::chrono::milliseconds(ticks_since(tick_of(now), connection.since));
  const std::uint32_t run = static_cast<std::uint32_t>(cursor_) / kRun;
  const std::uint32_t phase = run % kPasses;
  const std::uint32_t passes_since = (pass_ + kPasses - phase) % kPasses;
  if (connection.has(Connection::kAligned)) {
    if (passes_since == 0) return silent >= interval_ / 2;
  } else if (passes_since == 0) {
    if (silent < std::min<Duration>(kMidwordMax, interval_ / 8)) return false;
    connection.set(Connection::kAligned);
    return true;
  } else if (passes_since == kSecondLook + run / kPasses % kSecondLooks &&
             silent >= interval_ / kPasses * passes_since) {
    // It was there at its phase, had just spoken, and has been silent since. Who came later waits
    // for its phase.
    connection.set(Connection::kAligned);
    return true;
  }
  if (silent + interval_ / (2 * kPasses) < interval_) return false;
  connection.clear(Connection::kAligned);
  return true;
}

void Keepalive::schedule(Instant now, int end) {
  if (end == 0) {
    next_due_ = kNever;
    return;
  }
  // A small table is looked at less often, so that a quiet server sleeps; at least once a pass.
  const Duration pass = interval_ / kPasses;
  const Duration for_rows = pass * kRowsPerSweepMin / std::max(end, 1);
  next_due_ = now + std::clamp(for_rows, std::min(kSweepEvery, pass), pass);
}

}  // namespace holdfast::server
