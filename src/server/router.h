#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "holdfast/handler.h"

namespace holdfast::server {

// Path to handler. Filled before the workers start, then only read. add() aborts where
// Server::route() says so.
class Router {
 public:
  void add(std::string path, std::shared_ptr<Handler> handler) {
    CHECK(routes_.size() < 255);
    CHECK(path.starts_with('/'));
    CHECK(handler != nullptr);
    const bool open_ended = path.ends_with("/*");
    if (open_ended) path.pop_back();
    routes_.push_back({std::move(path), open_ended, std::move(handler)});
  }
  std::optional<std::uint8_t> find(std::string_view path) const {
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      const Route& route = routes_[i];
      const bool fits = route.open_ended
                            ? path.size() > route.path.size() && path.starts_with(route.path)
                            : path == route.path;
      if (fits) return static_cast<std::uint8_t>(i);
    }
    return std::nullopt;
  }
  Handler& handler(std::uint8_t route) const { return *routes_[route].handler; }
  // As it was added.
  std::string pattern(std::uint8_t route) const {
    return routes_[route].path + (routes_[route].open_ended ? "*" : "");
  }

 private:
  struct Route {
    std::string path;
    bool open_ended;
    std::shared_ptr<Handler> handler;
  };
  std::vector<Route> routes_;
};

}  // namespace holdfast::server
