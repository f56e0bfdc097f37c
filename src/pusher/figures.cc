#include "pusher/figures.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

namespace holdfast::pusher {
namespace {

using Json = nlohmann::json;
using ByKind = std::array<std::uint64_t, kChannelKindNames.size()>;

struct AppFigures {
  std::string id;
  bool enabled = true;
  std::uint64_t connections = 0, connections_refused = 0, events_published = 0, client_events = 0,
                client_events_refused = 0, members = 0, event_streams = 0, history_channels = 0,
                history_events = 0, history_bytes = 0, history_evicted = 0, recoveries = 0,
                recovered_events = 0, recoveries_failed = 0;
  ByKind channels{}, subscriptions{};
};

// What has one value for each app.
struct Plain {
  std::string_view name, help, type;
  std::uint64_t AppFigures::* value;
};
constexpr std::array kPlain = {
    Plain{"connections", "Clients of the app", "gauge", &AppFigures::connections},
    Plain{"connections_refused_total", "Clients refused over max_connections", "counter",
          &AppFigures::connections_refused},
    Plain{"events_published_total", "Events published over HTTP, for each channel", "counter",
          &AppFigures::events_published},
    Plain{"client_events_total", "Events that clients sent to each other", "counter",
          &AppFigures::client_events},
    Plain{"client_events_refused_total", "Client events refused with 4301", "counter",
          &AppFigures::client_events_refused},
    Plain{"members", "Users on presence channels, on each of them", "gauge", &AppFigures::members},
    Plain{"event_streams", "Of the clients, those that read server-sent events", "gauge",
          &AppFigures::event_streams},
    Plain{"history_channels", "Channels whose events are counted", "gauge",
          &AppFigures::history_channels},
    Plain{"history_events", "Events kept for those who come back", "gauge",
          &AppFigures::history_events},
    Plain{"history_bytes", "Memory of the history, bounded by history_bytes_max", "gauge",
          &AppFigures::history_bytes},
    Plain{"history_evicted_total", "Events dropped before their time to make room", "counter",
          &AppFigures::history_evicted},
    Plain{"recoveries_total", "Clients that came back and were told all that they missed",
          "counter", &AppFigures::recoveries},
    Plain{"recovered_events_total", "Missed events told to them", "counter",
          &AppFigures::recovered_events},
    Plain{"recoveries_failed_total", "Clients that came back and were told that events are lost",
          "counter", &AppFigures::recoveries_failed},
};

// What has one for each kind of channel too.
struct Kinds {
  std::string_view name, help;
  ByKind AppFigures::* values;
};
constexpr std::array kKinds = {
    Kinds{"channels", "Channels that somebody is on", &AppFigures::channels},
    Kinds{"subscriptions", "Subscriptions of clients to channels", &AppFigures::subscriptions},
};

void add(AppFigures& to, const AppState& state) {
  const auto read = [](const AppState::Count& count) {
    return count.load(std::memory_order_relaxed);
  };
  to.connections += read(state.connections);
  to.connections_refused += read(state.connections_refused);
  to.events_published += read(state.events_published);
  to.client_events += read(state.client_events);
  to.client_events_refused += read(state.client_events_refused);
  to.members += read(state.members);
  to.event_streams += read(state.event_streams);
  to.recoveries += read(state.recoveries);
  to.recovered_events += read(state.recovered_events);
  to.recoveries_failed += read(state.recoveries_failed);
  const History::Figures history = state.history.figures();
  to.history_channels += history.channels;
  to.history_events += history.events;
  to.history_bytes += history.bytes;
  to.history_evicted += history.evicted;
  for (std::size_t i = 0; i < kChannelKindNames.size(); ++i) {
    to.channels[i] += read(state.channels[i]);
    to.subscriptions[i] += read(state.subscriptions[i]);
  }
}

std::vector<AppFigures> figures_of(const Hub& hub) {
  std::vector<AppFigures> all;
  const auto apps = hub.apps();
  for (const App& app : apps->all()) {
    AppFigures next;
    next.id = all.size() < kAppsTold ? app.id : "(others)";
    next.enabled = app.enabled;
    if (all.size() <= kAppsTold) all.push_back(std::move(next));
    add(all.back(), *app.state);
  }
  return all;
}

// A label's value: backslash, quote and line feed are escaped (Prometheus exposition format 0.0.4).
std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
}

void begin_family(std::string& out, std::string_view name, std::string_view help,
                  std::string_view type) {
  out += fmt::format("# HELP holdfast_{0} {1}\n# TYPE holdfast_{0} {2}\n", name, help, type);
}

}  // namespace

std::string app_metrics(const Hub& hub) {
  const auto apps = figures_of(hub);
  std::string out;
  for (const Plain& plain : kPlain) {
    begin_family(out, fmt::format("app_{}", plain.name), plain.help, plain.type);
    for (const AppFigures& app : apps) {
      out += fmt::format("holdfast_app_{}{{app=\"{}\"}} {}\n", plain.name, label(app.id),
                         app.*plain.value);
    }
  }
  for (const Kinds& kinds : kKinds) {
    begin_family(out, fmt::format("app_{}", kinds.name), kinds.help, "gauge");
    for (const AppFigures& app : apps) {
      for (std::size_t i = 0; i < kChannelKindNames.size(); ++i) {
        out += fmt::format("holdfast_app_{}{{app=\"{}\",kind=\"{}\"}} {}\n", kinds.name,
                           label(app.id), kChannelKindNames[i], (app.*kinds.values)[i]);
      }
    }
  }
  const WebhookFigures webhooks = hub.webhook_figures();
  begin_family(out, "webhook_events_total", "Webhook events, by what became of them", "counter");
  out += fmt::format(
      "holdfast_webhook_events_total{{result=\"delivered\"}} {}\n"
      "holdfast_webhook_events_total{{result=\"dropped\"}} {}\n",
      webhooks.delivered, webhooks.dropped);
  begin_family(out, "webhook_retries_total", "Webhook requests that failed and come again",
               "counter");
  out += fmt::format("holdfast_webhook_retries_total {}\n", webhooks.retried);
  begin_family(out, "webhook_events_waiting", "Webhook events not delivered yet", "gauge");
  return out + fmt::format("holdfast_webhook_events_waiting {}\n", webhooks.waiting);
}

std::string app_stats(const Hub& hub) {
  Json list = Json::array();
  for (const AppFigures& app : figures_of(hub)) {
    Json one = {{"id", app.id}, {"enabled", app.enabled}};
    for (const Plain& plain : kPlain) one[std::string(plain.name)] = app.*plain.value;
    for (const Kinds& kinds : kKinds) {
      for (std::size_t i = 0; i < kChannelKindNames.size(); ++i)
        one[std::string(kinds.name)][std::string(kChannelKindNames[i])] = (app.*kinds.values)[i];
    }
    list.push_back(std::move(one));
  }
  const WebhookFigures webhooks = hub.webhook_figures();
  const Json out = {{"apps", list},
                    {"webhooks",
                     {{"delivered", webhooks.delivered},
                      {"dropped", webhooks.dropped},
                      {"retried", webhooks.retried},
                      {"waiting", webhooks.waiting}}}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string largest_channels(Hub& hub, std::size_t most) {
  Json list = Json::array();
  for (const auto& [app, channel, figures] : hub.book().largest(most)) {
    const ChannelName kind = classify(channel);
    const bool is_presence = kind.access == ChannelName::Access::kPresence;
    list.push_back({{"app", app},
                    {"name", channel},
                    {"kind", kChannelKindNames[static_cast<std::size_t>(kind.access)]},
                    {"subscriptions", figures.subscriptions},
                    {"users", is_presence ? Json(figures.users) : Json(nullptr)}});
  }
  return Json{{"channels", list}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace holdfast::pusher
