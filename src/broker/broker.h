#pragma once

#include <memory>
#include <vector>

#include "broker/mailbox.h"

namespace holdfast::broker {

// Carries publications to every worker that may have subscribers. The seam for an engine that carries them between machines.
class Broker {
 public:
  virtual ~Broker() = default;
  // Any thread. How many mailboxes were full: their workers' subscribers miss it.
  virtual std::uint32_t publish(SharedPublication publication) = 0;
};

// Within this process.
class MemoryBroker final : public Broker {
 public:
  // The mailboxes outlive the broker.
  explicit MemoryBroker(std::vector<Mailbox*> mailboxes) : mailboxes_(std::move(mailboxes)) {}
  std::uint32_t publish(SharedPublication publication) override {
    std::uint32_t refused = 0;
    for (Mailbox* mailbox : mailboxes_) refused += mailbox->post(publication) ? 0u : 1u;
    return refused;
  }

 private:
  std::vector<Mailbox*> mailboxes_;
};

}  // namespace holdfast::broker
