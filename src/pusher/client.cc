#include "pusher/client.h"

#include <algorithm>

#include "pusher/arrival.h"

namespace holdfast::pusher {

Client::~Client() {
  if (app_ != nullptr) app_->connections.fetch_sub(1, std::memory_order_relaxed);
}

bool Client::enter(const App& app) {
  const std::uint64_t before = app.state->connections.fetch_add(1, std::memory_order_relaxed);
  if (app.max_connections != 0 && before >= app.max_connections) {
    app.state->connections.fetch_sub(1, std::memory_order_relaxed);
    app.state->connections_refused.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  app_ = app.state;
  return true;
}

const Client::Membership* Client::find(std::string_view channel) const {
  if (first_.channel == nullptr) return nullptr;
  if (first_.channel->name() == channel) return &first_;
  if (more_ == nullptr) return nullptr;
  const auto found =
      std::find_if(more_->others.begin(), more_->others.end(),
                   [&](const Membership& one) { return one.channel->name() == channel; });
  return found == more_->others.end() ? nullptr : &*found;
}

void Client::add(const Membership& membership) {
  if (first_.channel == nullptr) {
    first_ = membership;
  } else {
    more().others.push_back(membership);
  }
}

std::optional<Client::Membership> Client::remove(std::string_view channel) {
  const Membership* found = find(channel);
  if (found == nullptr) return std::nullopt;
  const Membership gone = *found;
  const bool has_others = more_ != nullptr && !more_->others.empty();
  if (found == &first_) {
    first_ = has_others ? more_->others.back() : Membership{};
    if (has_others) more_->others.pop_back();
  } else {
    more_->others.erase(more_->others.begin() + (found - more_->others.data()));
  }
  return gone;
}

std::vector<Client::Membership> Client::remove_all() {
  std::vector<Membership> all;
  if (more_ != nullptr) all.swap(more_->others);
  if (first_.channel != nullptr) all.push_back(std::exchange(first_, {}));
  return all;
}

std::size_t Client::channels() const {
  return (first_.channel == nullptr ? 0 : 1) + (more_ == nullptr ? 0 : more_->others.size());
}

std::unique_ptr<Client::User> Client::sign_out() {
  return more_ == nullptr ? nullptr : std::move(more_->user);
}

bool Client::allows_event(std::uint32_t rate, Instant now) {
  if (rate == 0) return true;
  const Duration second = std::chrono::seconds(1);
  const Instant next = std::max(more().events_until, now) + second / rate;
  if (next - now > second) return false;
  more().events_until = next;
  return true;
}

bool Client::finish_arrival(const Arrival* arrival) {
  if (more_ == nullptr) return false;
  const std::size_t found =
      std::erase_if(more_->arrivals, [arrival](const auto& one) { return one.get() == arrival; });
  rest();
  return found > 0;
}

void Client::end_arrival(std::string_view channel) {
  if (more_ == nullptr) return;
  std::erase_if(more_->arrivals, [channel](const auto& one) { return one->channel == channel; });
  rest();
}

// A client that came back costs no more than others.
void Client::rest() {
  const bool is_idle = more_->others.empty() && more_->user == nullptr && more_->arrivals.empty() &&
                       more_->events_until == Instant{};
  if (is_idle) more_.reset();
}

Client::More& Client::more() {
  if (more_ == nullptr) more_ = std::make_unique<More>();
  return *more_;
}

}  // namespace holdfast::pusher
