#pragma once

// What all parts of a simulation share: chance, the clock, the links and the trace. One thread.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/handler.h"
#include "simulator/link.h"
#include "simulator/random.h"
#include "simulator/sabotage.h"
#include "simulator/scenario.h"
#include "simulator/tls_scene.h"
#include "simulator/trace.h"

namespace holdfast::simulator {

inline constexpr std::uint32_t kTopics = 6;
inline std::string topic_name(std::uint32_t topic) { return "topic " + std::to_string(topic); }
inline std::uint32_t topic_of(std::string_view name) {
  return static_cast<std::uint32_t>(name.back() - '0');
}

struct World {
  World(std::uint64_t seed, bool live) : World(Scenario(seed), seed, live) {}
  World(const Scenario& drawn, std::uint64_t seed, bool live)
      : scenario(drawn), random(seed), trace(live) {
    if (scenario.tls > 0) tls = std::make_unique<TlsScene>(scenario, seed);
  }

  // A fault of these odds (in a hundred) strikes now. Never once the run is calm.
  bool strikes(unsigned percent) { return !is_calm && percent != 0 && random.chance(percent); }
  bool strikes_in_thousand(unsigned odds) {
    return !is_calm && odds != 0 && random.below(1000) < odds;
  }
  // Whether such a fault is planted here and now: at some chances, so that it comes about in the
  // middle of a run. Draws nothing, so that the run is what it would be without.
  bool is_sabotaged(Sabotage fault) {
    constexpr std::uint32_t kChancesPerFault = 20;
    return fault == sabotage && ++chances % kChancesPerFault == 0;
  }
  void note(What what, int worker, int link, std::int64_t a = 0, std::int64_t b = 0) {
    trace.note(now, what, worker, link, a, b);
  }

  Scenario scenario;
  Random random;
  Trace trace;
  Instant now{std::chrono::seconds(1000)};
  Duration excused{};  // time in which nobody ran, so that deadlines may have been missed
  std::deque<Link> links;
  std::unique_ptr<TlsScene> tls;  // where some peers speak TLS
  Sabotage sabotage = Sabotage::kNone;
  std::uint32_t chances = 0;  // that it had
  bool is_calm = false;
  bool is_draining = false;
  Instant drains_since{};
};

}  // namespace holdfast::simulator
