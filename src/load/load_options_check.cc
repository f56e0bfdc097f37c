// Whether options fit each other.

#include <fmt/format.h>

#include <chrono>

#include "base/units.h"
#include "load/load_options.h"

namespace holdfast::load {
namespace {

using std::chrono::seconds;

Result<void> check_tls(const LoadOptions& options) {
  if (options.url.starts_with("wss://")) {
    if (options.insecure && !options.ca_file.empty())
      return failure(
          fmt::format("--cafile '{}': with --insecure nobody is verified; leave one of them out",
                      options.ca_file));
    return {};
  }
  const char* given = options.insecure                                      ? "--insecure"
                      : !options.ca_file.empty()                            ? "--cafile"
                      : !options.server_name.empty()                        ? "--server-name"
                      : options.resume != Resume::kReturning                ? "--resume"
                      : options.tls_versions != protocol::TlsVersions::kAll ? "--tls"
                                                                            : nullptr;
  if (given == nullptr) return {};
  return failure(fmt::format("{}: for wss:// alone, and the URL is '{}'", given, options.url));
}

}  // namespace

Result<void> check_options(const LoadOptions& options) {
  if (options.workers > options.connections) {
    return failure(fmt::format(
        "--workers {}: more than --connections {}; ask for at most one worker per connection",
        options.workers, options.connections));
  }
  const bool sends = options.scenario == Scenario::kEcho || options.scenario == Scenario::kFanout;
  if (sends && options.message_rate > 0 && options.hold.count() == 0) {
    return failure(fmt::format(
        "--hold 0: scenario {} sends while it holds; give it a time, such as --hold 30s",
        name(options.scenario)));
  }
  if (options.scenario == Scenario::kHalfOpen && options.hold < seconds(1)) {
    return failure(
        fmt::format("--hold {}: vanished peers are only noticed after the server's ping interval "
                    "and pong timeout; give it more "
                    "than both together, such as --hold 60s",
                    format_duration(options.hold)));
  }
  if (options.protocol == Speech::kPusher) {
    const bool is_known = options.scenario == Scenario::kIdle ||
                          options.scenario == Scenario::kFanout ||
                          options.scenario == Scenario::kStorm;
    if (!is_known) {
      return failure(
          fmt::format("--scenario {}: not with --protocol pusher, which has idle, fanout and storm",
                      name(options.scenario)));
    }
    if (options.scenario == Scenario::kFanout && options.channels != 1) {
      return failure(fmt::format("--channels {}: in the scenario fanout all are on 1 channel",
                                 options.channels));
    }
  }
  if (auto checked = check_tls(options); !checked) return checked;
  if (!options.report.empty() && options.report == options.html) {
    return failure(
        fmt::format("--html '{}': the same file as --report; give each its own", options.html));
  }
  return {};
}

}  // namespace holdfast::load
