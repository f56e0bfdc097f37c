#include "commands/apps_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <variant>

#include "base/check.h"
#include "base/units.h"
#include "commands/nearest_name.h"

namespace holdfast::commands {
namespace {

using pusher::App;

// A number's bounds; 0 as the least where 0 means "no limit".
struct Key {
  std::string_view name;
  std::variant<std::string App::*, bool App::*, std::uint32_t App::*, std::uint64_t App::*,
               std::chrono::seconds App::*, std::vector<std::string> App::*,
               std::vector<pusher::Webhook> App::*, std::vector<pusher::HistoryRule> App::*>
      field;
  std::int64_t least = 0;
  std::int64_t most = 0;
};

constexpr std::array kKeys = {
    Key{"id", &App::id},
    Key{"key", &App::key},
    Key{"secret", &App::secret},
    Key{"enabled", &App::enabled},
    Key{"client_events", &App::client_events},
    Key{"client_event_rate", &App::client_event_rate, 0, 1'000'000},
    Key{"max_connections", &App::max_connections, 0, 1'000'000'000},
    Key{"channels_per_client", &App::channels_per_client, 1, 10'000},
    Key{"presence_members_max", &App::presence_members_max, 1, 10'000},
    Key{"presence_info_bytes_max", &App::presence_info_bytes_max, 16, 65'536},
    Key{"event_bytes_max", &App::event_bytes_max, 1, 16 * 1024 * 1024},
    Key{"cache_ttl_seconds", &App::cache_ttl, 1, 604'800},
    Key{"activity_timeout", &App::activity_timeout, 5, 3600},
    Key{"subscription_counts", &App::subscription_counts},
    Key{"origins", &App::origins},
    Key{"webhooks", &App::webhooks},
    Key{"history", &App::history},
    Key{"history_bytes_max", &App::history_bytes_max, 65'536, 1LL << 40},
};

std::string place_of(std::string_view path, const toml::source_position& position) {
  return fmt::format("{}:{}:{}", path, position.line, position.column);
}

// Empty when they were taken, else what they should be.
std::string take_webhooks(App& app, const toml::node& node) {
  std::string wanted = fmt::format(
      "an array of {{ url = \"https://…\", events = […] }}, the events among {}, or none for all",
      fmt::join(pusher::kWebhookEventNames, ", "));
  const auto* hooks = node.as_array();
  if (hooks == nullptr) return wanted;
  for (const toml::node& one : *hooks) {
    const auto* table = one.as_table();
    const auto url = table == nullptr ? std::nullopt : (*table)["url"].value<std::string>();
    if (!url || !(url->starts_with("http://") || url->starts_with("https://"))) return wanted;
    pusher::Webhook hook{*url, {}};
    for (const auto& [name, value] : *table) {
      if (name.str() == "url") continue;
      const auto* events = value.as_array();
      if (name.str() != "events" || events == nullptr) return wanted;
      for (const toml::node& event : *events) {
        const auto known =
            std::find(pusher::kWebhookEventNames.begin(), pusher::kWebhookEventNames.end(),
                      event.value_or(std::string()));
        if (known == pusher::kWebhookEventNames.end()) return wanted;
        hook.events.push_back(
            static_cast<pusher::WebhookEvent>(known - pusher::kWebhookEventNames.begin()));
      }
    }
    app.webhooks.push_back(std::move(hook));
  }
  return {};
}

constexpr std::int64_t kHistoryEventsMax = 10'000;
constexpr std::chrono::milliseconds kHistoryAgeMin = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kHistoryAgeMax = std::chrono::hours(7 * 24);

// Empty when it was taken, else what it should be.
std::string take_history_field(pusher::HistoryRule& rule, std::string_view name,
                               const toml::node& value) {
  if (name == "prefix") {
    const auto* text = value.as_string();
    if (text == nullptr) return "a prefix that is a string";
    rule.prefix = text->get();
  } else if (name == "events") {
    const auto* number = value.as_integer();
    if (number == nullptr || number->get() < 1 || number->get() > kHistoryEventsMax)
      return fmt::format("events that are a whole number of 1 to {}", kHistoryEventsMax);
    rule.events = static_cast<std::uint32_t>(number->get());
  } else if (name == "age") {
    const auto* text = value.as_string();
    const auto age = text == nullptr ? failure("no text") : parse_duration(text->get());
    if (!age || *age < kHistoryAgeMin || *age > kHistoryAgeMax)
      return "an age that is a time of \"1s\" to \"168h\"";
    rule.age = *age;
  } else {
    return fmt::format("nothing but prefix, events and age; there is '{}'", name);
  }
  return {};
}

std::string take_history(App& app, const toml::node& node) {
  const auto* rules = node.as_array();
  if (rules == nullptr || !rules->is_array_of_tables())
    return "tables: [[apps.history]], or an array of { prefix = \"…\", events = N, age = \"60s\" }";
  for (const toml::node& one : *rules) {
    pusher::HistoryRule rule;
    for (const auto& [name, value] : *one.as_table()) {
      if (auto wanted = take_history_field(rule, name.str(), value); !wanted.empty()) return wanted;
    }
    app.history.push_back(std::move(rule));
  }
  return {};
}

// Empty when the value was taken, else what it should be.
std::string take(App& app, const Key& key, const toml::node& node) {
  const auto number = [&](auto field) -> std::string {
    const auto* value = node.as_integer();
    if (value == nullptr || value->get() < key.least || value->get() > key.most) {
      return fmt::format("a whole number of {} to {}", key.least, key.most);
    }
    using Field = std::remove_reference_t<decltype(app.*field)>;
    app.*field = Field(value->get());
    return {};
  };
  if (const auto* field = std::get_if<std::string App::*>(&key.field)) {
    // An id is often a number.
    if (const auto* value = node.as_integer(); value != nullptr && key.name == "id") {
      app.id = std::to_string(value->get());
      return {};
    }
    const auto* value = node.as_string();
    if (value == nullptr || value->get().empty()) return "a string that is not empty";
    app.*(*field) = value->get();
    return {};
  }
  if (const auto* field = std::get_if<bool App::*>(&key.field)) {
    const auto* value = node.as_boolean();
    if (value == nullptr) return "true or false";
    app.*(*field) = value->get();
    return {};
  }
  if (const auto* field = std::get_if<std::uint32_t App::*>(&key.field)) return number(*field);
  if (const auto* field = std::get_if<std::uint64_t App::*>(&key.field)) return number(*field);
  if (const auto* field = std::get_if<std::chrono::seconds App::*>(&key.field)) {
    return number(*field);
  }
  if (std::holds_alternative<std::vector<pusher::Webhook> App::*>(key.field)) {
    return take_webhooks(app, node);
  }
  if (std::holds_alternative<std::vector<pusher::HistoryRule> App::*>(key.field)) {
    return take_history(app, node);
  }
  const auto field = std::get<std::vector<std::string> App::*>(key.field);
  const auto* values = node.as_array();
  if (values == nullptr) return "an array of strings";
  for (const toml::node& value : *values) {
    const auto* text = value.as_string();
    if (text == nullptr) return "an array of strings";
    (app.*field).push_back(text->get());
  }
  return {};
}

void read_app(std::string_view path, const toml::table& table, std::vector<App>& apps,
              std::string& problems) {
  App app;
  for (const auto& [name, node] : table) {
    std::string spelled(name.str());
    std::replace(spelled.begin(), spelled.end(), '-', '_');
    const auto key = std::find_if(kKeys.begin(), kKeys.end(),
                                  [&](const Key& one) { return one.name == spelled; });
    const std::string place = place_of(path, name.source().begin);
    if (key == kKeys.end()) {
      std::vector<std::string_view> names;
      for (const Key& one : kKeys) names.push_back(one.name);
      const std::string_view nearest = nearest_name(spelled, names);
      problems += fmt::format("{}: unknown key '{}' of an app{}\n", place, name.str(),
                              nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
    } else if (const auto wanted = take(app, *key, node); !wanted.empty()) {
      problems += fmt::format("{}: {} of an app wants {}\n", place, key->name, wanted);
    }
  }
  apps.push_back(std::move(app));
}

}  // namespace

Result<std::shared_ptr<pusher::AppTable>> parse_apps(std::string_view text, std::string_view path) {
  std::vector<App> apps;
  std::string problems;
  try {
    const toml::table table = toml::parse(text, path);
    if (const toml::node* node = table.get("apps")) {
      if (!node->is_array_of_tables()) {
        return failure(
            fmt::format("{}: apps are tables: [[apps]]", place_of(path, node->source().begin)));
      }
      for (const toml::node& one : *node->as_array())
        read_app(path, *one.as_table(), apps, problems);
    }
  } catch (const toml::parse_error& error) {
    return failure(
        fmt::format("{}: {}", place_of(path, error.source().begin), error.description()));
  }
  if (!problems.empty()) {
    problems.pop_back();
    return failure(problems);
  }
  auto made = pusher::AppTable::make(std::move(apps));
  if (!made) return failure(fmt::format("{}: {}", path, made.error().message));
  return made;
}

Result<std::shared_ptr<pusher::AppTable>> read_apps_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(fmt::format("cannot read {}: {}", path, std::strerror(errno)), errno);
  std::ostringstream text;
  text << file.rdbuf();
  return parse_apps(text.str(), path);
}

std::shared_ptr<pusher::AppTable> development_apps() {
  App app;
  app.id = "1";
  app.key = "app-key";
  app.secret = "app-secret";
  app.client_events = true;
  app.loopback_only = true;
  auto made = pusher::AppTable::make({std::move(app)});
  CHECK(made);
  return *made;
}

}  // namespace holdfast::commands
