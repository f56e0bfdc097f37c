// What must be true when all is quiet, and when all is over.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "channel_simulator/channel_simulation.h"
#include "channel_simulator/channels.h"

namespace holdfast::channel_simulator {

const pusher::App& Simulation::app() const { return *hub_->apps()->by_id(kAppId); }

void Simulation::check_rest() {
  for (Client& client : clients_) client.check(truth_);
  check_books();
  check_figures();
}

// The book knows of each channel what the truth has of it.
void Simulation::check_books() {
  for (const std::string_view channel : kChannels) {
    const auto figures = hub_->book().figures(kAppId, channel);
    const std::size_t subscriptions = truth_.subscriptions(channel);
    if ((figures ? figures->subscriptions : 0) != subscriptions) {
      return world_.trace.fail(fmt::format("{}: the book has {} subscriptions in place of {}",
                                           channel, figures ? figures->subscriptions : 0,
                                           subscriptions));
    }
    if (!is_presence(channel) || subscriptions == 0) continue;
    const auto members = truth_.members(channel);
    const auto users = hub_->book().users(kAppId, channel);
    const bool is_same =
        std::equal(users.begin(), users.end(), members.begin(), members.end(),
                   [](const std::string& user, const auto& one) { return user == one.first; });
    if (!is_same) {
      return world_.trace.fail(fmt::format("{}: the book has {} members in place of {}", channel,
                                           users.size(), members.size()));
    }
  }
}

// What operators are told.
void Simulation::check_figures() {
  std::array<std::uint64_t, pusher::kChannelKindNames.size()> channels{}, subscriptions{};
  std::uint64_t members = 0;
  for (const std::string_view channel : kChannels) {
    const auto kind = static_cast<std::size_t>(pusher::classify(channel).access);
    channels[kind] += truth_.subscriptions(channel) > 0;
    subscriptions[kind] += truth_.subscriptions(channel);
    members += truth_.members(channel).size();
  }
  const pusher::AppState& state = *app().state;
  for (std::size_t kind = 0; kind < channels.size(); ++kind) {
    if (state.channels[kind] == channels[kind] && state.subscriptions[kind] == subscriptions[kind])
      continue;
    return world_.trace.fail(fmt::format("{} channels of kind {} are told of in place of {}",
                                         state.channels[kind].load(), kind, channels[kind]));
  }
  if (state.members != members)
    world_.trace.fail(
        fmt::format("{} members are told of in place of {}", state.members.load(), members));
}

void Simulation::check_end() {
  const auto want = [this](bool is_so, std::string_view what) {
    if (!is_so) world_.trace.fail(std::string(what));
  };
  for (const Post& post : posts_) {
    want(post.worker->is_empty() && post.loop->held().empty(), "the drain does not end");
    want(post.counters->queued_bytes.read() == 0, "bytes wait for nobody");
  }
  want(truth_.is_empty(), "somebody is there whose close() was not called");
  want(!record_.is_interested(), "a worker wants a topic of which it has no subscriber");
  want(app().state->connections == 0, "a connection is counted that is gone");
  want(admission_.connections() == 0, "a place is taken by nobody");
  const pusher::ChannelBook::Held held = hub_->book().held();
  want(held.channels == 0, "a channel is left in the book");
  want(held.absences == 0, "an absence is left in the book");
  want(held.cached == 0, "an event of a cache channel is left in the book");
  want(hub_->signed_in_users() == 0, "a user is left who is not signed in");
  const pusher::History::Figures history = app().state->history.figures();
  want(history.channels == 0 && history.events == 0 && history.bytes == 0,
       "something of the history is left");
  check_figures();
}

}  // namespace holdfast::channel_simulator
