#pragma once

// The channel protocol as `holdfast serve` offers it: /app/{key}, /apps/…, /up, and their apps.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "holdfast/admin.h"

namespace holdfast {
namespace pusher {
class Hub;
class WebhookSender;
}  // namespace pusher
}  // namespace holdfast

namespace holdfast::commands {

class ServeChannels {
 public:
  // Adds the paths; before server.start(). `server` outlives this. `config_path` is the file with
  // [[apps]], empty: there is none and the development app is all there is. The error is that of
  // parse_apps().
  static Result<ServeChannels> add(Server& server, std::string config_path);

  // What the operator's pages say of apps and channels; adds /channels. Before server.start().
  AdminParts admin_parts();

  // Reads the file again. An error leaves the apps of before in force. Nobody is dropped but the
  // clients of apps that are not there any more, or are disabled.
  Result<std::size_t> reload();
  // Housekeeping, about once a second; tells the log of webhooks that were dropped.
  void tick();

 private:
  ServeChannels(Server& server, std::string config_path, std::shared_ptr<pusher::Hub> hub);

  Server* server_;
  std::string config_path_;
  std::shared_ptr<pusher::Hub> hub_;
  std::shared_ptr<pusher::WebhookSender> webhooks_;
  std::uint64_t dropped_told_ = 0;
};

}  // namespace holdfast::commands
