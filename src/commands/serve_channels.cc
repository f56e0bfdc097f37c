#include "commands/serve_channels.h"

#include "commands/apps_file.h"
#include "commands/serve_log.h"
#include "holdfast/server.h"
#include "net/clock.h"
#include "pusher/http_api.h"
#include "pusher/hub.h"
#include "pusher/socket_handler.h"
#include "pusher/webhook_sender.h"

namespace holdfast::commands {
namespace {

class Up final : public Handler {
 public:
  std::optional<Reply> request(const Request&, Publisher&) override {
    return Reply{.body = "OK\n"};
  }
};

Result<std::shared_ptr<pusher::AppTable>> apps_of(const std::string& config_path) {
  if (config_path.empty()) return development_apps();
  auto apps = read_apps_file(config_path);
  if (apps && (*apps)->all().empty()) return development_apps();
  return apps;
}

}  // namespace

ServeChannels::ServeChannels(std::string config_path, std::shared_ptr<pusher::Hub> hub)
    : config_path_(std::move(config_path)), hub_(std::move(hub)) {}

Result<ServeChannels> ServeChannels::add(Server& server, std::string config_path) {
  auto apps = apps_of(config_path);
  if (!apps) return failure(apps.error().message);
  auto hub = std::make_shared<pusher::Hub>(
      *std::move(apps), server.publisher(),
      [&server](PeerId peer, std::uint16_t code, std::string_view reason) {
        server.close(peer, code, reason);
      },
      pusher::Hub::Clocks{net::monotonic_now, net::unix_seconds_now});
  server.route(std::string(pusher::SocketHandler::kPath),
               std::make_shared<pusher::SocketHandler>(hub));
  server.route(std::string(pusher::HttpApi::kPath), std::make_shared<pusher::HttpApi>(hub));
  server.route("/up", std::make_shared<Up>());
  ServeChannels channels(std::move(config_path), hub);
  channels.webhooks_ = std::make_shared<pusher::WebhookSender>(
      [hub] { return hub->apps(); },
      pusher::WebhookSender::Clocks{net::monotonic_now, net::unix_milliseconds_now});
  hub->use_webhooks(channels.webhooks_->queue());
  return channels;
}

Result<std::size_t> ServeChannels::reload() {
  auto apps = apps_of(config_path_);
  if (!apps) return failure(apps.error().message);
  const std::size_t count = (*apps)->all().size();
  hub_->replace_apps(*std::move(apps));
  return count;
}

void ServeChannels::tick() {
  hub_->tick();
  const pusher::WebhookFigures figures = webhooks_->queue().figures();
  if (figures.dropped == dropped_told_) return;
  log(LogLevel::kWarning, "webhook events dropped",
      {{"events", std::to_string(figures.dropped - dropped_told_)},
       {"dropped_in_all", std::to_string(figures.dropped)},
       {"waiting", std::to_string(figures.waiting)}});
  dropped_told_ = figures.dropped;
}

}  // namespace holdfast::commands
