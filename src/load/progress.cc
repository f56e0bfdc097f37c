#include "load/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"

namespace holdfast::load {
namespace {

constexpr Duration kOnTerminal = std::chrono::seconds(1);
constexpr Duration kElsewhere = std::chrono::seconds(5);

std::string_view verb(Phase phase) {
  switch (phase) {
    case Phase::kReady:
      return "starting";
    case Phase::kOpen:
      return "opening";
    case Phase::kHold:
      return "holding";
    case Phase::kSettle:
      return "settling";
    case Phase::kDrop:
      return "dropping";
    case Phase::kLeave:
      return "leaving";
  }
  return "";
}

}  // namespace

void Progress::tell(Instant now, Phase phase, const LiveSum& sum, ProcessUse use) {
  if (began_ == kNever) {
    began_ = told_ = now;
    use_before_ = use;
  }
  const bool due = now - told_ >= (is_terminal_ ? kOnTerminal : kElsewhere);
  if (!due && phase == phase_) return;
  // Too soon after the last one, a rate would be a guess.
  if (now - told_ >= std::chrono::milliseconds(200) || phase == Phase::kHold) {
    const std::string text = line(now, phase, sum, use);
    // Cut at the edge of a narrow terminal: a wrapped line could not be rewritten.
    fmt::print(stream_, "{}{}{}", is_terminal_ ? "\r\033[K\033[?7l" : "", text,
               is_terminal_ ? "\033[?7h" : "\n");
    std::fflush(stream_);
    told_ = now;
    before_ = sum;
    use_before_ = use;
  }
  phase_ = phase;
}

std::string Progress::line(Instant now, Phase phase, const LiveSum& sum, ProcessUse use) const {
  const double seconds = std::max(static_cast<double>((now - told_).count()) / 1e9, 1e-9);
  const auto rate = [&](std::uint64_t after, std::uint64_t before) {
    return format_count(static_cast<std::uint64_t>(static_cast<double>(after - before) / seconds));
  };
  const double cpu =
      static_cast<double>((use.user + use.system - use_before_.user - use_before_.system).count()) /
      1e7 / seconds / cpus_;
  std::string text = fmt::format(
      "{:>4} s  {:<8}  opened {} ({}/s)  failed {}  held {}  pings {}  server-closed {}",
      (now - began_) / std::chrono::seconds(1), verb(phase), format_count(sum.opened),
      rate(sum.opened, before_.opened), format_count(sum.refused), format_count(sum.open),
      format_count(sum.pings), format_count(sum.server_closed));
  if (sum.tls_full + sum.tls_resumed > 0) {
    text += fmt::format("  TLS full {} resumed {}", format_count(sum.tls_full),
                        format_count(sum.tls_resumed));
  }
  if (sum.sent > 0 || sum.received > 0) {
    text += fmt::format("  sent {}  received {} ({}/s)", format_count(sum.sent),
                        format_count(sum.received), rate(sum.received, before_.received));
  }
  return text + fmt::format("  CPU {:.0f} % of {}", cpu, cpus_);
}

void Progress::end() {
  if (is_terminal_ && began_ != kNever) fmt::print(stream_, "\n");
}

}  // namespace holdfast::load
