#pragma once

// A plan as people and programs read it.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "doctor/sizing.h"

namespace holdfast::doctor {

// One set of unit costs with its origin.
struct CostColumn {
  std::string name;  // "recorded, epoll"
  UnitCosts costs;
};

struct Plan {
  Load load;
  Machine machine;
  bool is_this_machine = true;
  Prices prices;
  std::vector<CostColumn> columns;  // all that are to be shown
  std::size_t chosen = 0;           // the one that the rest is reckoned with
  Size size;                        // with the chosen one
  // The cores of each column, in its order.
  std::vector<std::pair<double, double>> cores;  // keepalive, messages
};

Plan make_plan(const Load& load, const Machine& machine, const Prices& prices,
               std::vector<CostColumn> columns, std::size_t chosen);

std::string to_text(const Plan& plan);
nlohmann::json to_json(const Plan& plan);

}  // namespace holdfast::doctor
