#pragma once

// What `holdfast serve` is told: the server's options, and how its log is written.

#include "commands/serve_log.h"
#include "holdfast/options.h"

namespace holdfast::commands {

// Who stands in front, and cuts what is silent for too long.
enum class Balancer : std::uint8_t { kNone, kAwsAlb, kAwsNlb, kCloudflare, kNginx, kHaproxy };

struct ServeSettings : Options {
  Balancer behind = Balancer::kNone;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
};

}  // namespace holdfast::commands
