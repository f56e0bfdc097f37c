#pragma once

// What is told while a run goes on: a line rewritten each second on a terminal, a plain line every
// five seconds elsewhere.

#include <cstdio>
#include <string>

#include "base/time.h"
#include "load/baton.h"
#include "load/live_counters.h"
#include "load/this_machine.h"

namespace holdfast::load {

class Progress {
 public:
  // `stream` outlives it; `cpus` are those that the process may use.
  Progress(std::FILE* stream, bool is_terminal, std::uint32_t cpus)
      : stream_(stream), is_terminal_(is_terminal), cpus_(cpus) {}

  // To be called often; says something when it is time, or when the phase changed.
  void tell(Instant now, Phase phase, const LiveSum& sum, ProcessUse use);
  // Leaves the line that is being rewritten.
  void end();

 private:
  std::string line(Instant now, Phase phase, const LiveSum& sum, ProcessUse use) const;

  std::FILE* stream_;
  bool is_terminal_;
  std::uint32_t cpus_;
  Instant began_ = kNever;
  Instant told_;
  Phase phase_ = Phase::kReady;
  LiveSum before_;
  ProcessUse use_before_;
};

}  // namespace holdfast::load
