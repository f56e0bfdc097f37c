#pragma once

// A page in a user's browser, as the server sees it: it comes, loses its line, and comes back, and
// remembers where in each channel it was.

#include <map>
#include <string>
#include <vector>

#include "pusher/history.h"

namespace holdfast::channel_simulator {

struct Tab {
  std::string user;
  std::string info;                // user_info as JSON text
  bool says_id_as_number = false;  // 7 and "7" are the same user
  bool signs_in = false;
  std::vector<std::string> watchlist = {};
  // The newest last.
  std::map<std::string, std::vector<pusher::Place>, std::less<>> places = {};
};

}  // namespace holdfast::channel_simulator
