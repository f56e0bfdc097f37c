#include "commands/serve_channels.h"

#include <array>
#include <bit>
#include <charconv>

#include "commands/apps_file.h"
#include "commands/serve_log.h"
#include "holdfast/server.h"
#include "net/clock.h"
#include "net/random.h"
#include "pusher/figures.h"
#include "pusher/http_api.h"
#include "pusher/hub.h"
#include "pusher/socket_handler.h"
#include "pusher/webhook_sender.h"
#include "server/cluster.h"

namespace holdfast::commands {
namespace {

// GET /channels?limit=N on the operator's listener: the largest channels.
class LargestChannels final : public Handler {
 public:
  explicit LargestChannels(std::shared_ptr<pusher::Hub> hub) : hub_(std::move(hub)) {}
  Verdict upgrade(Peer&, const Request&) override {
    return Verdict::refuse(404, "there is no WebSocket at this path");
  }
  std::optional<Reply> request(const Request& request, Publisher&) override {
    if (request.method() != "GET") return std::nullopt;
    constexpr std::size_t kUsual = 20, kMost = 1'000;
    std::size_t limit = kUsual;
    if (const auto text = request.parameter("limit")) {
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
      if (error != std::errc() || end != text->data() + text->size() || limit < 1 || limit > kMost)
        return Reply{400, "limit is a number of 1 to 1000: ?limit=20\n"};
    }
    return Reply{200, pusher::largest_channels(*hub_, limit), "application/json"};
  }

 private:
  std::shared_ptr<pusher::Hub> hub_;
};

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

std::uint64_t random_seed() {
  std::array<std::byte, sizeof(std::uint64_t)> bytes;
  net::fill_random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

}  // namespace

ServeChannels::ServeChannels(Server& server, std::string config_path,
                             std::shared_ptr<pusher::Hub> hub)
    : server_(&server), config_path_(std::move(config_path)), hub_(std::move(hub)) {}

Result<ServeChannels> ServeChannels::add(Server& server, std::string config_path) {
  auto apps = apps_of(config_path);
  if (!apps) return failure(apps.error().message);
  auto hub = std::make_shared<pusher::Hub>(
      *std::move(apps), server.publisher(),
      [&server](PeerId peer, std::uint16_t code, std::string_view reason) {
        server.close(peer, code, reason);
      },
      pusher::Hub::Clocks{net::monotonic_now, net::unix_seconds_now, random_seed()});
  hub->limit_recovery(server.cluster().options().queue_bytes_max / 2);
  server.route(std::string(pusher::SocketHandler::kPath),
               std::make_shared<pusher::SocketHandler>(hub));
  server.route(std::string(pusher::HttpApi::kPath), std::make_shared<pusher::HttpApi>(hub));
  server.route("/up", std::make_shared<Up>());
  ServeChannels channels(server, std::move(config_path), hub);
  channels.webhooks_ = std::make_shared<pusher::WebhookSender>(
      [hub] { return hub->apps(); },
      pusher::WebhookSender::Clocks{net::monotonic_now, net::unix_milliseconds_now});
  hub->use_webhooks(channels.webhooks_->queue());
  return channels;
}

AdminParts ServeChannels::admin_parts() {
  server_->admin_route("/channels", std::make_shared<LargestChannels>(hub_));
  return {.metrics = [hub = hub_] { return pusher::app_metrics(*hub); },
          .stats = [hub = hub_] { return pusher::app_stats(*hub); },
          .topic_text = pusher::Hub::topic_text};
}

Result<std::size_t> ServeChannels::reload() {
  auto apps = apps_of(config_path_);
  if (!apps) return failure(apps.error().message);
  const std::size_t count = (*apps)->all().size();
  hub_->replace_apps(*std::move(apps));
  server_->review();
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
