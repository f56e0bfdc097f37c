#include "load/load_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "base/thread.h"
#include "load/conductor.h"
#include "load/odd_crew.h"
#include "load/report_assembly.h"
#include "load/this_machine.h"
#include "net/clock.h"
#include "net/descriptor_table.h"
#include "net/waker.h"

namespace holdfast::load {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(10);
constexpr Duration kMemoryEvery = std::chrono::seconds(1);

// One thread and what it leaves behind. Its results are read after it was joined.
template <class Outcome>
struct Member {
  LiveCounters live;
  std::unique_ptr<net::Waker> waker;
  std::optional<Outcome> outcome;
  std::optional<Error> error;
  std::thread thread;
};

void add_live(LiveSum& sum, const LiveCounters& live) {
  sum.failed |= live.failed.load(std::memory_order_relaxed);
  sum.step = std::min(sum.step, live.step.load(std::memory_order_acquire));
  sum.phase_done &= live.phase_done.load(std::memory_order_relaxed);
  sum.opened += live.opened.load(std::memory_order_relaxed);
  sum.refused += live.refused.load(std::memory_order_relaxed);
  sum.lost += live.lost.load(std::memory_order_relaxed);
  sum.server_closed += live.server_closed.load(std::memory_order_relaxed);
  sum.open += live.open.load(std::memory_order_relaxed);
  sum.pings += live.pings.load(std::memory_order_relaxed);
  sum.tls_full += live.tls_full.load(std::memory_order_relaxed);
  sum.tls_resumed += live.tls_resumed.load(std::memory_order_relaxed);
  sum.sent += live.sent.load(std::memory_order_relaxed);
  sum.received += live.received.load(std::memory_order_relaxed);
}

class Run {
 public:
  Run(const LoadPlan& plan, Progress& progress, const std::atomic<bool>& interrupted)
      : plan_(plan),
        progress_(progress),
        interrupted_(interrupted),
        conductor_(plan.options, plan.traffic != Traffic::kNone, baton_),
        workers_(plan.shares.connections == 0 ? 0 : plan.shares.workers),
        crews_(plan.odd_shares.connections == 0 ? 0 : plan.odd_shares.workers) {}

  Result<Report> carry_out();

 private:
  Result<void> make_wakers();
  void start_threads();
  void lead();
  void join();
  LiveSum look() const;
  WorkerPlan worker_plan(std::uint32_t index) const;
  OddCrewPlan crew_plan(std::uint32_t index) const;
  void work(std::uint32_t index);
  void watch_odd_ones(std::uint32_t index);
  Result<Report> report();
  void add_odd_peers(Report& report);
  double rate_of(std::uint64_t count) const;

  const LoadPlan& plan_;
  Progress& progress_;
  const std::atomic<bool>& interrupted_;
  Baton baton_;
  Conductor conductor_;
  std::vector<Member<WorkerOutcome>> workers_;
  std::vector<Member<OddCrewOutcome>> crews_;
  std::uint64_t seed_ =
      std::random_device{}() * std::uint64_t{0x9e3779b97f4a7c15} + std::random_device{}();
  Instant origin_;
  std::int64_t series_start_ = 0;
  std::uint64_t resident_bytes_max_ = 0;
};

// Wakers first: made before the tables part, each has the same number everywhere.
Result<void> Run::make_wakers() {
  for (auto& worker : workers_) {
    auto waker = net::Waker::create();
    if (!waker) return tl::unexpected(waker.error());
    worker.waker = std::move(*waker);
  }
  return {};
}

double Run::rate_of(std::uint64_t count) const {
  const auto all = static_cast<double>(plan_.shares.connections + plan_.odd_shares.connections);
  return plan_.options.rate * static_cast<double>(count) / all;
}

WorkerPlan Run::worker_plan(std::uint32_t index) const {
  WorkerPlan result;
  result.options = &plan_.options;
  result.target = &plan_.target;
  result.sources = &plan_.sources;
  result.index = index;
  result.workers = plan_.shares.workers;
  result.first_ordinal = plan_.shares.first_of(index);
  result.connections = plan_.shares.count_of(index);
  result.tls = plan_.tls;
  result.rate = rate_of(result.connections);
  result.traffic = plan_.traffic;
  result.publishes = plan_.traffic == Traffic::kPublish && index == 0;
  result.run = static_cast<std::uint32_t>(seed_);
  result.seed = seed_ + index;
  result.origin = origin_;
  result.clock = net::monotonic_now;
  return result;
}

OddCrewPlan Run::crew_plan(std::uint32_t index) const {
  OddCrewPlan result;
  result.options = &plan_.options;
  result.target = &plan_.target;
  result.sources = &plan_.sources;
  result.oddity = plan_.options.scenario == Scenario::kSlowReader ? Oddity::kSlow
                  : plan_.options.vanish == Vanish::kMute         ? Oddity::kMute
                                                                  : Oddity::kSilent;
  result.first_ordinal = plan_.shares.connections + plan_.odd_shares.first_of(index);
  result.count = plan_.odd_shares.count_of(index);
  result.tls = plan_.tls;
  result.rate = rate_of(result.count);
  result.talks = plan_.traffic == Traffic::kEcho;
  return result;
}

void Run::work(std::uint32_t index) {
  auto& member = workers_[index];
  const auto fail = [&](Error error) {
    member.error = std::move(error);
    member.live.failed.store(true, std::memory_order_release);
  };
  if (auto taken = net::take_private_descriptor_table(); !taken) return fail(taken.error());
  auto loop = net::make_loop({.io = plan_.options.io}, member.waker.get());
  if (!loop) return fail(loop.error());
  Worker worker(worker_plan(index), **loop, baton_, member.live);
  while (!worker.finished()) worker.turn();
  member.outcome = worker.take_outcome();
}

void Run::watch_odd_ones(std::uint32_t index) {
  auto& member = crews_[index];
  if (auto taken = net::take_private_descriptor_table(); !taken) {
    member.error = taken.error();
    member.live.failed.store(true, std::memory_order_release);
    return;
  }
  member.outcome = OddCrew(crew_plan(index), baton_, member.live).run();
}

void Run::start_threads() {
  const auto start = [](auto& member, auto run) {
    auto thread = start_thread(run);
    if (thread) {
      member.thread = std::move(*thread);
      return;
    }
    member.error =
        Error{fmt::format("workers: the system gives no more threads: {}. Take fewer "
                          "(--workers), or raise its limit (pids.max, ulimit -u)",
                          thread.error().message)};
    member.live.failed.store(true, std::memory_order_release);
  };
  for (std::uint32_t i = 0; i < workers_.size(); ++i) start(workers_[i], [this, i] { work(i); });
  for (std::uint32_t i = 0; i < crews_.size(); ++i)
    start(crews_[i], [this, i] { watch_odd_ones(i); });
}

LiveSum Run::look() const {
  LiveSum sum;
  sum.step = UINT32_MAX;
  sum.phase_done = true;
  for (const auto& worker : workers_) add_live(sum, worker.live);
  for (const auto& crew : crews_) add_live(sum, crew.live);
  return sum;
}

void Run::lead() {
  Instant memory_at;
  while (conductor_.phase() != Phase::kLeave || look().step != baton_.read().number ||
         !look().phase_done) {
    const Instant now = net::monotonic_now();
    const LiveSum sum = look();
    bool passed = conductor_.step(now, sum);
    if ((interrupted_.load(std::memory_order_relaxed) || sum.failed) &&
        conductor_.phase() != Phase::kLeave) {
      conductor_.interrupt(now);
      passed = true;
    }
    if (passed) {
      for (auto& worker : workers_) worker.waker->wake();
    }
    progress_.tell(now, conductor_.phase(), sum, process_use());
    if (now >= memory_at) {
      resident_bytes_max_ = std::max(resident_bytes_max_, resident_bytes());
      memory_at = now + kMemoryEvery;
    }
    if (sum.failed) return;
    std::this_thread::sleep_for(kLookEvery);
  }
}

void Run::join() {
  for (auto& worker : workers_) {
    if (worker.thread.joinable()) worker.thread.join();
  }
  for (auto& crew : crews_) {
    if (crew.thread.joinable()) crew.thread.join();
  }
}

Result<Report> Run::carry_out() {
  if (auto made = make_wakers(); !made) return tl::unexpected(made.error());
  const Duration wall = wall_clock();
  const Instant began = net::monotonic_now();
  series_start_ = std::chrono::floor<std::chrono::seconds>(wall).count();
  origin_ = began - wall % std::chrono::seconds(1);
  const ProcessUse use_before = process_use();
  start_threads();
  lead();
  join();
  progress_.end();
  auto result = report();
  if (!result) return result;
  const ProcessUse use = process_use();
  result->own.user = use.user - use_before.user;
  result->own.system = use.system - use_before.system;
  result->own.wall = net::monotonic_now() - began;
  result->own.cpus = plan_.cpus;
  result->own.resident_bytes_max = resident_bytes_max_;
  return result;
}

Result<Report> Run::report() {
  std::vector<WorkerOutcome> outcomes;
  for (auto& worker : workers_) {
    if (worker.error) return tl::unexpected(*worker.error);
    outcomes.push_back(std::move(*worker.outcome));
  }
  for (auto& crew : crews_) {
    if (crew.error) return tl::unexpected(*crew.error);
  }
  Report result = assemble_report(plan_, conductor_, outcomes, origin_, series_start_);
  result.machines = {machine_facts()};
  add_odd_peers(result);
  return result;
}

void Run::add_odd_peers(Report& report) {
  report.odd.asked = plan_.odd_shares.connections;
  if (crews_.empty()) return;
  report.odd.kind = name(crew_plan(0).oddity);
  for (auto& crew : crews_) {
    report.opened += crew.outcome->opened;
    report.odd.opened += crew.outcome->opened;
    report.odd.dropped += crew.outcome->dropped;
    report.odd.dropped_after.add(crew.outcome->dropped_after);
    add(report.refused, crew.outcome->refused);
    add(report.tls, crew.outcome->tls);
    report.time_to_open =
        std::max(report.time_to_open, crew.outcome->last_answer - conductor_.opening_began());
  }
}

}  // namespace

Result<Report> run_load(const LoadPlan& plan, Progress& progress,
                        const std::atomic<bool>& interrupted) {
  return Run(plan, progress, interrupted).carry_out();
}

}  // namespace holdfast::load
