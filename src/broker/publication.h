#pragma once

#include <memory>
#include <string>

#include "base/shared_bytes.h"

namespace holdfast::broker {

// One message on its way to everyone who wants its topic. `wire` is what each of them is sent: encoded once, by the publisher.
struct Publication {
  std::string topic;
  SharedBytes wire;
  // What the message is the newest value of ("AAPL"); empty: of the topic itself. Only conflation looks at it.
  std::string key = {};
};

using SharedPublication = std::shared_ptr<const Publication>;

}  // namespace holdfast::broker
