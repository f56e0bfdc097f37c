// holdfast_simulate: runs of the simulator, one for each seed, until one fails.
//
//   holdfast_simulate [--channels] [--first N] [--count N] [--twice] [--everything] [--progress]
//   holdfast_simulate [--channels] --seed N [--trace] [--sabotage NAME]
//   holdfast_simulate --can-fail [--count N]
//
// --channels: users on channels (channel_simulator/), in place of WebSockets and topics.
// --twice runs each seed a second time and wants the same hash; --everything fails when some reason
// for a refusal or an end never came about. --sabotage plants a fault (simulator/sabotage.h);
// --can-fail plants each of them and wants each to be seen in one of N runs.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"
#include "channel_simulator/channel_simulation.h"
#include "simulator/simulation.h"

using namespace holdfast;

namespace {

struct Orders {
  std::uint64_t first = 1;
  std::uint64_t count = 1'000;
  bool channels = false, trace = false, twice = false, everything = false, progress = false,
       can_fail = false;
  simulator::Sabotage sabotage = simulator::Sabotage::kNone;
};

// For one that dies by a CHECK or a sanitizer.
std::uint64_t seed_under_way = 0;
std::function<std::string()> events_under_way;
std::string sort_under_way;

void print_replay(std::uint64_t seed) {
  fmt::print(stderr, "replay it: holdfast_simulate {}--seed {} --trace\n", sort_under_way, seed);
  std::fflush(stderr);
}

// Not what a signal handler may do in general; here nothing else runs, and the process ends.
void tell_and_die(int signal) {
  std::signal(signal, SIG_DFL);
  if (events_under_way) fmt::print(stderr, "{}", events_under_way());
  fmt::print(stderr, "seed {} died by signal {}\n", seed_under_way, signal);
  print_replay(seed_under_way);
  std::raise(signal);
}

std::optional<std::uint64_t> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') return std::nullopt;
  return value;
}

std::optional<simulator::Sabotage> sabotage_named(const char* name) {
  const auto& names = simulator::kSabotageNames;
  const auto found = std::find(names.begin(), names.end(), name == nullptr ? "" : name);
  if (found == names.end()) return std::nullopt;
  return static_cast<simulator::Sabotage>(found - names.begin());
}

std::optional<Orders> read_orders(char** arguments) {
  Orders orders;
  for (char** at = arguments + 1; *at != nullptr; ++at) {
    const std::string_view name = *at;
    if (name == "--channels")
      orders.channels = true;
    else if (name == "--trace")
      orders.trace = true;
    else if (name == "--twice")
      orders.twice = true;
    else if (name == "--everything")
      orders.everything = true;
    else if (name == "--progress")
      orders.progress = true;
    else if (name == "--can-fail")
      orders.can_fail = true;
    else if (name == "--sabotage") {
      const auto sabotage = sabotage_named(*++at);
      if (!sabotage) return std::nullopt;
      orders.sabotage = *sabotage;
      sort_under_way = fmt::format("--sabotage {} ", *at);
    } else {
      const auto value = number(*++at);
      if (!value) return std::nullopt;
      if (name == "--seed" || name == "--first") orders.first = *value;
      if (name == "--seed")
        orders.count = 1;
      else if (name == "--count")
        orders.count = *value;
      else if (name != "--first")
        return std::nullopt;
    }
  }
  return orders;
}

template <class Simulation, class... More>
auto run(std::uint64_t seed, bool trace, More... more) {
  Simulation simulation(seed, trace, more...);
  seed_under_way = seed;
  events_under_way = [&simulation] { return simulation.last_events(); };
  auto outcome = simulation.run();
  events_under_way = nullptr;
  return outcome;
}

// Whether each reason came about.
bool print_reached(const simulator::Outcome& all) {
  bool everything = true;
  const auto print = [&](std::string_view what, const auto& names, const auto& counts) {
    fmt::print("{}", what);
    for (std::size_t i = 0; i < names.size(); ++i) {
      fmt::print("  {} {}", names[i], format_count(counts[i]));
      everything = everything && counts[i] > 0;
    }
    fmt::print("\n");
  };
  fmt::print(
      "{} connections, {} WebSockets, {} requests, {} messages, {} deliveries, {} dropped, {} "
      "conflated, {} lost, {} compressed peers, {} compressed bytes, {} gathered in windows\n",
      format_count(all.accepted), format_count(all.opened), format_count(all.requests),
      format_count(all.messages), format_count(all.deliveries), format_count(all.dropped),
      format_count(all.conflated), format_count(all.lost), format_count(all.agreed),
      format_count(all.deflated_bytes), format_count(all.gathered));
  fmt::print(
      "TLS: {} established, {} resumed, {} left with OpenSSL, {} too old, {} waited, {} failed, {} "
      "key updates, {} ends with close_notify\n",
      format_count(all.tls.established), format_count(all.tls.resumed),
      format_count(all.tls.attached), format_count(all.tls.old_refused),
      format_count(all.tls.waited), format_count(all.tls.failed), format_count(all.tls.key_updates),
      format_count(all.tls.notified_ends));
  print("refused:", server::kRefusalNames, all.refused);
  print("ended:", server::kEndingNames, all.ended);
  return everything && all.dropped > 0 && all.conflated > 0 && all.lost > 0 && all.agreed > 0 &&
         all.deflated_bytes > 0 && all.gathered > 0 && all.tls.resumed > 0 &&
         all.tls.attached > 0 && all.tls.old_refused > 0 && all.tls.waited > 0 &&
         all.tls.failed > 0 && all.tls.key_updates > 0 && all.tls.notified_ends > 0;
}

bool print_reached(const channel_simulator::Outcome& all) {
  const channel_simulator::Tally& tally = all.tally;
  bool everything = true;
  const auto print = [&](std::string_view what, std::uint64_t count) {
    fmt::print("{} {}  ", what, format_count(count));
    everything = everything && count > 0;
  };
  print("connections", tally.connected);
  print("subscriptions", tally.succeeded);
  print("refused", tally.refused);
  print("events", tally.events);
  print("own", tally.own);
  print("recovered", tally.recovered);
  print("not recovered", tally.lost);
  print("cached", tally.cached);
  print("cache misses", tally.missed_cache);
  print("counts", tally.counts);
  print("members added", tally.added);
  print("removed", tally.removed);
  print("back in time", all.returns);
  print("gone", all.removals);
  print("online", tally.online);
  print("offline", tally.offline);
  print("mailboxes full", all.lost);
  print("rests", tally.rests);
  fmt::print("\nclosed:  ");
  print("slow", tally.closed_slow);
  print("drain", tally.closed_drain);
  print("silent", tally.closed_silent);
  print("by the app", tally.closed_by_app);
  fmt::print("\n");
  return everything;
}

template <class Simulation, class... More>
int run_all(const Orders& orders, More... more) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  decltype(run<Simulation>(0, false, more...)) all;
  for (std::uint64_t seed = orders.first; seed < orders.first + orders.count; ++seed) {
    const auto outcome = run<Simulation>(seed, orders.trace, more...);
    if (!outcome.failure.empty()) {
      if (!orders.trace) fmt::print(stderr, "{}", outcome.last_events);
      fmt::print(stderr, "seed {} failed: {}\n", seed, outcome.failure);
      print_replay(seed);
      return 1;
    }
    if (orders.twice && run<Simulation>(seed, false, more...).hash != outcome.hash) {
      fmt::print(stderr, "seed {} failed: two runs of it differ\n", seed);
      return 1;
    }
    all.add(outcome);
    if (orders.progress && (seed - orders.first) % 1'000 == 999) {
      fmt::print("{} seeds, {:.0f} s\n", format_count(seed - orders.first + 1), seconds());
      std::fflush(stdout);
    }
  }
  fmt::print("{} seeds from {}, {} events, {:.1f} s, hash {:016x}: all is well\n",
             format_count(orders.count), orders.first, format_count(all.events), seconds(),
             all.hash);
  const bool everything = print_reached(all);
  if (!orders.everything || everything) return 0;
  fmt::print(stderr, "something above never came about: more seeds, or better odds\n");
  return 1;
}

// Each fault that can be planted, until some seed shows it.
int run_sabotaged(const Orders& orders) {
  int unseen = 0;
  for (std::size_t i = 1; i < simulator::kSabotageNames.size(); ++i) {
    const auto fault = static_cast<simulator::Sabotage>(i);
    sort_under_way = fmt::format("--sabotage {} ", simulator::kSabotageNames[i]);
    std::uint64_t seed = orders.first;
    std::string failure;
    for (; failure.empty() && seed < orders.first + orders.count; ++seed)
      failure = run<simulator::Simulation>(seed, false, fault).failure;
    if (failure.empty()) ++unseen;
    fmt::print("{:<20} {}\n", simulator::kSabotageNames[i],
               failure.empty() ? fmt::format("not seen in {} seeds", format_count(orders.count))
                               : fmt::format("seed {}: {}", seed - 1, failure));
  }
  return unseen == 0 ? 0 : 1;
}

}  // namespace

int main(int, char** arguments) {
  const auto orders = read_orders(arguments);
  if (!orders) {
    fmt::print(
        stderr,
        "usage: holdfast_simulate [--channels] [--first N] [--count N] [--twice] [--everything] "
        "[--progress] | --seed N [--trace] [--sabotage NAME] | --can-fail [--count N]\n");
    return 2;
  }
  std::signal(SIGABRT, tell_and_die);
  std::signal(SIGSEGV, tell_and_die);
  if (orders->can_fail) return run_sabotaged(*orders);
  if (!orders->channels) return run_all<simulator::Simulation>(*orders, orders->sabotage);
  sort_under_way = "--channels ";
  return run_all<channel_simulator::Simulation>(*orders);
}
