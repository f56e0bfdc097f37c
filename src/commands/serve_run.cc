#include "commands/serve_run.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <string>

#include "base/units.h"
#include "commands/file_watch.h"
#include "commands/serve_channels.h"
#include "commands/serve_endpoints.h"
#include "commands/serve_log.h"
#include "holdfast/admin.h"
#include "holdfast/server.h"
#include "net/clock.h"
#include "server/cluster.h"

namespace holdfast::commands {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1'000};
constexpr std::chrono::milliseconds kStatusInterval{10'000};
constexpr std::chrono::hours kTermsInterval{24};
// Who renews by itself does so thirty days before; here somebody has to be called.
constexpr std::int64_t kDaysLeftMin = 14;
constexpr std::chrono::milliseconds kDrainLook{20};
// What may come on top of drain_time: the last peer's close_timeout, and its worker's turn.
constexpr std::chrono::milliseconds kDrainGrace{2'000};

sigset_t awaited_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  return signals;
}

// Waits for one of the awaited signals; 0 when none came in time.
int next_signal(std::chrono::milliseconds longest) {
  const sigset_t signals = awaited_signals();
  const timespec timeout{.tv_sec = longest.count() / 1000,
                         .tv_nsec = longest.count() % 1000 * 1'000'000};
  const int number = sigtimedwait(&signals, nullptr, &timeout);
  return number > 0 ? number : 0;
}

std::string_view name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
}

void notify(const std::string& state) { sd_notify(0, state.c_str()); }

void tell_ready(const Server& server) {
  const std::string admin = server.admin_listening();
  log(LogLevel::kInfo, "ready",
      {{"listen", fmt::format("{}", fmt::join(server.listening(), ","))},
       {"admin", admin.empty() ? "off" : admin},
       {"workers", std::to_string(server.workers())},
       {"connections_max", std::to_string(server.connections_max())},
       {"io", server.io_name()}});
  notify(fmt::format("READY=1\nSTATUS=Listening on {}", fmt::join(server.listening(), ", ")));
}

void tell_status(const Server& server) {
  notify(fmt::format("STATUS=Holding {} of at most {} connections",
                     format_count(server.connections()), format_count(server.connections_max())));
}

bool is_end(int signal) { return signal == SIGTERM || signal == SIGINT; }

// Options are read once, at the start; apps again and again.
void reload_apps(ServeChannels& channels) {
  const auto count = channels.reload();
  if (count) {
    log(LogLevel::kInfo, "apps reloaded", {{"apps", std::to_string(*count)}});
  } else {
    log(LogLevel::kError, "apps not reloaded, those of before stay: " + count.error().message);
  }
}

void tell_terms(const Server& server) {
  for (const auto& term : server.cluster().certificates()) {
    const std::int64_t seconds = term.not_after - net::unix_seconds_now();
    const std::int64_t days = seconds / (24 * 60 * 60);
    if (seconds < 0) {
      log(LogLevel::kError, fmt::format("certificate has expired: {}", term.name),
          {{"subject", term.subject}});
    } else if (days < kDaysLeftMin) {
      log(LogLevel::kWarning, fmt::format("certificate expires in {} days: {}", days, term.name),
          {{"subject", term.subject}});
    }
  }
}

bool may_swap_secrets(const Server& server) {
  const auto& counters = server.cluster().counters();
  return std::any_of(counters.begin(), counters.end(),
                     [](const auto& one) { return one->tls_unlocked.read() != 0; });
}

// What a running server looks after, beside its connections.
class Housekeeping {
 public:
  Housekeeping(Server& server, ServeChannels& channels)
      : server_(server), channels_(channels), files_(server.cluster().tls_files()) {}

  void tick() {
    channels_.tick();
    if (files_.look()) reload_certificates("a file has changed");
    const Instant now = net::monotonic_now();
    if (now >= status_due_) {
      tell_status(server_);
      status_due_ = now + kStatusInterval;
    }
    if (!has_told_of_swap_ && may_swap_secrets(server_)) {
      has_told_of_swap_ = true;
      log(LogLevel::kWarning,
          "TLS secrets may come into swap: RLIMIT_MEMLOCK is too small (LimitMEMLOCK= of the unit, "
          "ulimit -l)");
    }
    if (now >= terms_due_) {
      tell_terms(server_);
      terms_due_ = now + kTermsInterval;
    }
  }
  void reload() {
    reload_apps(channels_);
    if (!files_.is_idle()) reload_certificates("SIGHUP");
  }

 private:
  void reload_certificates(const std::string& cause) {
    files_.accept();
    if (const auto problem = server_.reload_certificates()) {
      log(LogLevel::kError, "certificates not reloaded, those of before stay: " + *problem,
          {{"cause", cause}});
      return;
    }
    log(LogLevel::kInfo, "certificates reloaded", {{"cause", cause}});
    tell_terms(server_);
  }

  Server& server_;
  ServeChannels& channels_;
  FileWatch files_;
  Instant status_due_{}, terms_due_{};
  bool has_told_of_swap_ = false;
};

void hold(Server& server, ServeChannels& channels) {
  Housekeeping housekeeping(server, channels);
  while (true) {
    housekeeping.tick();
    const int signal = next_signal(kTickInterval);
    if (signal == SIGHUP) housekeeping.reload();
    if (!is_end(signal)) continue;
    log(LogLevel::kInfo, "draining",
        {{"signal", std::string(name_of(signal))},
         {"connections", std::to_string(server.connections())}});
    return;
  }
}

// Returns the exit code.
int drain(Server& server, const ServeSettings& settings) {
  const auto longest = settings.drain_time + settings.close_timeout + kDrainGrace;
  notify(fmt::format("STOPPING=1\nSTATUS=Draining {} connections over {}",
                     format_count(server.connections()), format_duration(settings.drain_time)));
  const Instant started = net::monotonic_now();
  server.drain();
  while (!server.is_drained() && net::monotonic_now() - started < longest) {
    const int signal = next_signal(kDrainLook);
    if (!is_end(signal)) continue;
    log(LogLevel::kWarning, "stopped at once by a second signal",
        {{"signal", std::string(name_of(signal))},
         {"connections", std::to_string(server.connections())}});
    return 1;
  }
  const std::uint64_t left = server.connections();
  log(left == 0 ? LogLevel::kInfo : LogLevel::kWarning, "drained",
      {{"connections_cut", std::to_string(left)}});
  return 0;
}

}  // namespace

int serve(const ServeConfiguration& configuration) {
  const ServeSettings& settings = configuration.settings;
  cleanse_freed_secrets();  // before anything of OpenSSL is used
  start_log(settings.log_level, settings.log_format);
  for (const std::string& warning : configuration.warnings) log(LogLevel::kWarning, warning);

  // Before the workers start: they inherit the mask, so that these signals wait for this thread.
  const sigset_t signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  Server server(settings);
  add_endpoints(server, settings);
  auto channels = ServeChannels::add(server, configuration.config_path);
  if (!channels) {
    log(LogLevel::kError, "cannot start: " + channels.error().message);
    return 1;
  }
  add_admin_routes(server, channels->admin_parts());
  if (const auto problem = server.start()) {
    log(LogLevel::kError, "cannot start: " + *problem);
    return 1;
  }
  for (const std::string& warning : server.warnings()) log(LogLevel::kWarning, warning);
  tell_ready(server);
  hold(server, *channels);
  const int exit_code = drain(server, settings);
  server.stop();
  return exit_code;
}

}  // namespace holdfast::commands
