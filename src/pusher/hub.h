#pragma once

// What all connections and requests of the channel protocol share: the apps in force, who is where,
// and the way to everybody's ears.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/handler.h"
#include "pusher/app.h"
#include "pusher/channel_book.h"
#include "pusher/webhook_queue.h"

namespace holdfast::pusher {

// Any thread. Outlives the server whose handlers use it.
class Hub {
 public:
  // Closes a peer that may be another worker's. Any thread.
  using Disconnect = std::function<void(PeerId peer, std::uint16_t code, std::string_view reason)>;

  struct Clocks {
    std::function<Instant()> now;
    std::function<std::int64_t()> unix_seconds;
    // Of the epochs of histories: no two processes may have the same.
    std::uint64_t seed = 1;
  };

  // `publisher` outlives the hub's use.
  Hub(std::shared_ptr<AppTable> apps, Publisher& publisher, Disconnect disconnect, Clocks clocks);

  Instant now() const { return clocks_.now(); }
  std::int64_t unix_seconds() const { return clocks_.unix_seconds(); }

  std::shared_ptr<const AppTable> apps() const { return apps_.now(); }
  // From now on. Clients of an app that is not there any more, or is disabled, are ended when they
  // next say something, and by Server::review().
  void replace_apps(std::shared_ptr<AppTable> apps);
  ChannelBook& book() { return book_; }
  // Nothing before use_webhooks().
  WebhookFigures webhook_figures() const {
    return webhooks_ == nullptr ? WebhookFigures() : webhooks_->figures();
  }

  // The topic of a channel. Its first byte is one that no path of an HTTP request can have, so that
  // /topics/<name> is no back door.
  static std::string topic_of(std::string_view app_id, std::string_view channel);
  // What an operator is to read of a topic: "news (app 1)" for a channel's.
  static std::string topic_text(std::string_view topic);
  // Where it is told that a user came or went.
  static std::string watch_topic_of(std::string_view app_id, std::string_view user);
  // `message` is the text of a frame. False when a worker could not keep up.
  bool publish(std::string_view app_id, std::string_view channel, std::string_view message,
               PeerId except = {}, std::string_view event_id = {}) {
    return publisher_.publish(topic_of(app_id, channel), message,
                              {.except = except, .event_id = event_id});
  }
  // The same for an event that the app or a client sent. The last one of a cache channel is kept,
  // and where the app wants a history the event gets a serial and an epoch and is kept for that.
  bool publish_event(const App& app, std::string_view channel, std::string message,
                     PeerId except = {});
  // How many are on a channel, to those who are on it: at once while they are few, else with the
  // next tick() that is due. Under the book's lock, or a later count could be told first.
  void tell_count(const App& app, std::string_view channel, std::uint64_t subscriptions);

  // A user's connections. Those who watch the user are told of the first and the last one.
  ChannelBook::Membership sign_in(std::string_view app_id, std::string_view user, PeerId peer);
  void sign_out(const ChannelBook::Membership& membership, std::string_view user, PeerId peer);
  // From now on the peer is told when the user comes and goes, and at first if it is there. False:
  // its worker is too busy.
  bool watch(Peer& peer, std::string_view app_id, std::string_view user);
  // Of all apps.
  std::size_t signed_in_users();
  // Tells the app by webhook, where it wants to be told. `fields` is JSON text behind the event's
  // name and channel: `,"user_id":"1"`.
  void announce(const App& app, WebhookEvent kind, std::string_view channel,
                std::string_view fields = {});
  // Where announcements go; outlives the hub's use. Before the first peer comes.
  void use_webhooks(WebhookQueue& queue) { webhooks_ = &queue; }

  // How many bytes of missed events a client is told at once: what waits for it then must not be
  // more than its queue may hold. Beyond it, it is told that it missed too much. Before the first
  // peer comes.
  void limit_recovery(std::uint64_t bytes_max) { recovery_bytes_max_ = bytes_max; }
  std::uint64_t recovery_bytes_max() const { return recovery_bytes_max_; }

  // Ends all connections of a user: they may not come back by themselves (4009).
  void disconnect_user(std::string_view app_id, std::string_view user);

  // Housekeeping; to be called about once a second. Users who have been away for
  // ChannelBook::kAbsence are told of here.
  void tick();

 private:
  using Spot = std::pair<std::string, std::string>;  // app, channel

  bool publish_kept(const App& app, std::string_view channel, const std::string& message,
                    PeerId except, std::string_view event_id = {});
  void expire_histories();

  void tell_gone(const ChannelBook::Channel& channel, std::string_view user);

  Apps apps_;
  Publisher& publisher_;
  Disconnect disconnect_;
  WebhookQueue* webhooks_ = nullptr;
  Clocks clocks_;
  ChannelBook book_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<AppState>, std::less<>> states_;
  std::map<Spot, std::vector<PeerId>> users_;
  std::set<Spot> counts_due_;
  std::uint32_t ticks_ = 0;
  std::uint64_t recovery_bytes_max_ = 512 * 1024;
};

// "123.456": a socket's name in the protocol, and back; nobody for what is no such name.
std::string socket_id_of(PeerId peer);
PeerId peer_of(std::string_view socket_id);

}  // namespace holdfast::pusher
