#pragma once

#include <cstdint>
#include <string_view>

#include "broker/publication.h"

namespace holdfast::broker {

// Carries publications to every worker that has subscribers for them. The seam for an engine that
// carries them between machines.
class Broker {
 public:
  virtual ~Broker() = default;
  // Any thread. How many mailboxes were full: their workers' subscribers miss it.
  virtual std::uint32_t publish(SharedPublication publication) = 0;
  // Any thread. From the return on, what is published to `topic` reaches the mailbox of that
  // worker; counted, so that as many calls of lose_interest() end it.
  virtual void gain_interest(std::uint32_t worker, std::string_view topic) = 0;
  virtual void lose_interest(std::uint32_t worker, std::string_view topic) = 0;
};

}  // namespace holdfast::broker
