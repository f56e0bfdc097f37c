#pragma once

// What an operator is told of apps and channels.

#include <cstddef>
#include <string>

#include "pusher/hub.h"

namespace holdfast::pusher {

// Apps that are told one by one; what lies beyond is added up, under the name "(others)".
inline constexpr std::size_t kAppsTold = 200;

// Prometheus text format, families holdfast_app_… and holdfast_webhook_…. Any thread.
std::string app_metrics(const Hub& hub);
// A JSON object: "apps" and "webhooks". Any thread.
std::string app_stats(const Hub& hub);
// A JSON object: "channels", the `most` largest of all apps. A look at every channel. Any thread.
std::string largest_channels(Hub& hub, std::size_t most);

}  // namespace holdfast::pusher
