#pragma once

// All that was published, in the order in which it was: the product's broker, watched. What a
// client hears of a channel is held against it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/memory_broker.h"
#include "holdfast/handler.h"
#include "pusher/history.h"
#include "simulator/world.h"

namespace holdfast::channel_simulator {

using pusher::Place;
using simulator::What;
using simulator::World;

// An event of a channel.
struct Said {
  std::uint32_t number;  // of all events
  std::string channel;
  std::ptrdiff_t index;  // among the channel's
  Place place;           // channels with a history
  PeerId except;
  std::size_t bytes;
  Instant at;
};

class Record final : public broker::Broker, public Publisher {
 public:
  using Publisher::publish;

  // `posted` is called when something may lie in a mailbox.
  Record(World& world, std::vector<broker::Mailbox*> mailboxes, std::function<void()> posted)
      : world_(world), broker_(std::move(mailboxes)), posted_(std::move(posted)) {}

  // The number of the next event; it stands in its data.
  std::uint32_t next_number() { return numbers_++; }

  // Null: it was not published.
  const Said* said(std::uint32_t number) const;
  const std::vector<const Said*>& log(std::string_view channel) const;
  // Where in the log a place is: that of the event, or the one before the epoch's first. Nothing
  // where no event of the epoch was published.
  std::optional<std::ptrdiff_t> index_of(std::string_view channel, const Place& place) const;
  // The channel's counts begin anew: nothing from before is known any more.
  void forget_histories() { forgotten_at_ = world_.now; }
  // Whether one who says at `now` that it was at `place` must be told what it missed.
  bool must_know(std::string_view channel, const Place& place, Duration age,
                 std::uint32_t events_max, std::uint64_t bytes_max) const;

  // Mailboxes that were full.
  std::uint64_t lost() const { return lost_; }
  bool is_interested() const { return !interest_.empty(); }

  // --- the workers' side
  std::uint32_t publish(broker::SharedPublication publication) override;
  void gain_interest(std::uint32_t worker, std::string_view topic) override;
  void lose_interest(std::uint32_t worker, std::string_view topic) override;
  // --- the hub's
  bool publish(std::string_view topic, MessageKind kind, Bytes payload,
               const PublishOptions& options) override;

 private:
  void note(const broker::Publication& publication);
  void check_serial(const Said& said);

  World& world_;
  broker::MemoryBroker broker_;
  std::function<void()> posted_;
  std::uint32_t numbers_ = 0;
  std::map<std::uint32_t, Said> all_;
  std::map<std::string, std::vector<const Said*>, std::less<>> logs_;
  std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> interest_;
  std::uint64_t lost_ = 0;
  Instant forgotten_at_{};
};

// The text of the one message in a server's frame.
std::string_view text_of(Bytes frame);

}  // namespace holdfast::channel_simulator
