#pragma once

#include "commands/serve_options.h"

namespace holdfast::commands {

// Runs a server until it is told to end, and tells the log and systemd how it goes. Returns the
// exit code of the process: 0 after a drain, 1 where it could not start or was cut short by a
// second signal. Call on the main thread, before any other thread starts: it takes over SIGTERM,
// SIGINT and SIGHUP.
int serve(const ServeConfiguration& configuration);

}  // namespace holdfast::commands
