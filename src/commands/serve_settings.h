#pragma once

// What `holdfast serve` is told: the server's options, and how its log is written.

#include "commands/serve_log.h"
#include "holdfast/options.h"

namespace holdfast::commands {

struct ServeSettings : Options {
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
};

}  // namespace holdfast::commands
