#include "pusher/app.h"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast::pusher {

Result<std::shared_ptr<AppTable>> AppTable::make(std::vector<App> apps) {
  for (auto app = apps.begin(); app != apps.end(); ++app) {
    for (const auto& [name, value] : {std::pair("id", &app->id), std::pair("key", &app->key),
                                      std::pair("secret", &app->secret)}) {
      if (value->empty()) {
        return failure(fmt::format("apps: number {} has no {}", app - apps.begin() + 1, name));
      }
    }
    const auto twin = std::find_if(apps.begin(), app, [&](const App& other) {
      return other.id == app->id || other.key == app->key;
    });
    if (twin != app) {
      return failure(fmt::format("apps: {} and {} share {}; each needs an id and a key of its own",
                                 twin->id, app->id, twin->id == app->id ? "an id" : "a key"));
    }
  }
  return std::shared_ptr<AppTable>(new AppTable(std::move(apps)));
}

const HistoryRule* App::history_of(std::string_view channel) const {
  const auto found = std::find_if(history.begin(), history.end(), [&](const HistoryRule& rule) {
    return channel.starts_with(rule.prefix);
  });
  return found == history.end() ? nullptr : &*found;
}

const App* AppTable::by_id(std::string_view id) const {
  const auto found =
      std::find_if(apps_.begin(), apps_.end(), [&](const App& app) { return app.id == id; });
  return found == apps_.end() ? nullptr : &*found;
}

const App* AppTable::by_key(std::string_view key) const {
  const auto found =
      std::find_if(apps_.begin(), apps_.end(), [&](const App& app) { return app.key == key; });
  return found == apps_.end() ? nullptr : &*found;
}

const App* AppTable::by_state(const AppState* state) const {
  const auto found =
      std::find_if(apps_.begin(), apps_.end(), [&](const App& app) { return app.state == state; });
  return found == apps_.end() ? nullptr : &*found;
}

}  // namespace holdfast::pusher
