#pragma once

// What is kept of one connected client. Small: most clients are on one public channel and never say
// a word, and there are hundreds of thousands of them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "pusher/app.h"
#include "pusher/channel_book.h"
#include "pusher/client_message.h"

namespace holdfast::pusher {

struct Arrival;

// Used by its worker's thread. Counted in its app from enter() to its end.
class Client {
 public:
  using Membership = ChannelBook::Membership;
  struct User {
    SignedIn who;
    Membership place;  // on the user's own channel
  };

  Client() = default;
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // False, and nothing changes, when the app has as many connections as it may. Once.
  bool enter(const App& app);

  // Null before enter().
  AppState* app() const { return app_; }

  // Where it is on `channel`; null where it is not.
  const Membership* find(std::string_view channel) const;
  void add(const Membership& membership);
  // The membership that ended; the caller has the book told.
  std::optional<Membership> remove(std::string_view channel);
  std::vector<Membership> remove_all();
  std::size_t channels() const;

  // Its way to a channel, from the subscription until its worker has come to where it joins the
  // others there (arrival.h). One that ends before that is not to be finished.
  void begin_arrival(std::shared_ptr<Arrival> arrival) {
    more().arrivals.push_back(std::move(arrival));
  }
  // False when it was ended by end_arrival() meanwhile.
  bool finish_arrival(const Arrival* arrival);
  // Of the channel, if there is one.
  void end_arrival(std::string_view channel);

  // Null before the sign-in.
  const User* user() const { return more_ == nullptr ? nullptr : more_->user.get(); }
  void sign_in(User user) { more().user = std::make_unique<User>(std::move(user)); }
  std::unique_ptr<User> sign_out();

  // Whether one more client event is within `rate` a second, a second's worth at once. 0: always.
  bool allows_event(std::uint32_t rate, Instant now);

 private:
  // What few have.
  struct More {
    std::vector<Membership> others;
    std::unique_ptr<User> user;
    std::vector<std::shared_ptr<Arrival>> arrivals;  // for a turn or two
    Instant events_until{};                          // see allows_event()
  };
  More& more();
  void rest();

  AppState* app_ = nullptr;
  Membership first_;
  std::unique_ptr<More> more_;
};

// With the pointer in front of it (Peer::data) it takes 48 bytes of the heap.
static_assert(sizeof(Client) <= 32);

}  // namespace holdfast::pusher
