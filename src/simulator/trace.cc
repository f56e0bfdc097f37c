#include "simulator/trace.h"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast::simulator {
namespace {

constexpr std::array<std::string_view, 27> kNames = {
    "connect", "accept",      "accept failed", "deliver",     "end told",    "writable",
    "send",    "send fails",  "shutdown",      "close",       "reset",       "turn",
    "arrive",  "peer reads",  "peer says",     "peer ends",   "peer resets", "peer vanishes",
    "opened",  "ended",       "subscribe",     "unsubscribe", "publish",     "mailbox full",
    "drain",   "clock jumps", "calm"};
static_assert(kNames.size() == static_cast<std::size_t>(What::kCalm) + 1);

}  // namespace

void Trace::note(Instant at, What what, int worker, int link, std::int64_t a, std::int64_t b) {
  const Note note{at, a, b, link, static_cast<std::int8_t>(worker), what};
  const auto mix = [this](std::int64_t value) {
    hash_ = (hash_ ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  };
  mix(at.time_since_epoch().count());
  mix(static_cast<std::int64_t>(what) << 48 | static_cast<std::int64_t>(worker + 1) << 32 |
      (link + 1));
  mix(a);
  mix(b);
  kept_[events_++ % kKept] = note;
  if (live_) fmt::print("{}\n", tell(note));
}

void Trace::fail(std::string what) {
  if (failed()) return;
  failure_ = std::move(what);
  if (live_) fmt::print("FAILED: {}\n", failure_);
}

std::string Trace::tell(const Note& note) {
  std::string line =
      fmt::format("{:>12.3f} ms  ",
                  std::chrono::duration<double, std::milli>(note.at.time_since_epoch()).count());
  line += note.worker < 0 ? "         " : fmt::format("worker {} ", note.worker);
  line += note.link < 0 ? "          " : fmt::format("peer {:<4} ", note.link);
  return line +
         fmt::format("{:<14} {} {}", kNames[static_cast<std::size_t>(note.what)], note.a, note.b);
}

std::string Trace::last() const {
  std::string text;
  for (std::uint64_t i = events_ - std::min<std::uint64_t>(events_, kKept); i < events_; ++i) {
    text += tell(kept_[i % kKept]) + '\n';
  }
  return text;
}

}  // namespace holdfast::simulator
