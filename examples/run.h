#pragma once

// What the examples share: a listening address from the command line, and the server's life.

#include <cstdio>
#include <functional>

#include "holdfast/server.h"

// ADDR:PORT is the first argument; port 0 lets the kernel choose.
inline holdfast::Options options_from(int argc, char** argv) {
  holdfast::Options options;
  if (argc > 1) options.listen = {argv[1]};
  options.admin = "off";
  return options;
}

// Until SIGTERM or SIGINT; `ready` is called once the server listens. Returns the exit code.
inline int run(holdfast::Server& server, const std::function<void()>& ready = {}) {
  const auto problem = server.run([&ready](const holdfast::Server& running) {
    if (ready) ready();
    std::printf("listening on %s\n", running.listening().front().c_str());
    std::fflush(stdout);
  });
  if (!problem) return 0;
  std::fprintf(stderr, "cannot start: %s\n", problem->c_str());
  return 1;
}
