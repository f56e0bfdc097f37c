#pragma once

// What apps are to be told by webhook: gathered, taken back where it came to nothing, bundled,
// signed, and tried again until it is too old. No I/O and no thread: see webhook_sender.h.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "pusher/app.h"
#include "pusher/channel_book.h"

namespace holdfast::pusher {

// One POST.
struct WebhookDelivery {
  std::string url = {};
  std::string key = {}, signature = {};  // X-Pusher-Key, X-Pusher-Signature
  std::string body = {};
  std::uint32_t events = 0;
  std::uint32_t attempts = 0;  // that failed
  Instant first_try{};
};

struct WebhookFigures {
  std::uint64_t delivered = 0, dropped = 0, retried = 0, waiting = 0;  // events; retried: POSTs
};

// Any thread.
class WebhookQueue {
 public:
  // Events that wait, in all; beyond it the newest are dropped and counted.
  static constexpr std::size_t kEventsMax = 100'000;
  // A channel that is empty for so short a time is not vacated: the event waits, and who comes back
  // takes it back. Members wait in the ChannelBook.
  static constexpr Duration kAbsence = ChannelBook::kAbsence;
  // How long an app's server may be away.
  static constexpr Duration kPatience = std::chrono::minutes(5);
  static constexpr std::size_t kEventsPerPost = 100;

  struct Event {
    WebhookEvent kind;
    std::string_view channel;
    // The event's JSON text, with its name and all its fields.
    std::string json;
  };

  // `wake` is called when something new is due; it must not block.
  explicit WebhookQueue(std::function<void()> wake = {}) : wake_(std::move(wake)) {}

  // Notes it for those hooks of the app that want it. Never blocks for long.
  void note(const App& app, Event event, Instant now);
  // What is to be POSTed now. Apps that are gone are told nothing more.
  std::vector<WebhookDelivery> take_due(const AppTable& apps, Instant now,
                                        std::int64_t unix_milliseconds);
  void succeeded(const WebhookDelivery& delivery);
  void failed(WebhookDelivery delivery, Instant now);
  // When take_due() will have something, as far as is known.
  Instant next_due() const;
  WebhookFigures figures() const;

 private:
  struct Waiting {
    std::string app;
    WebhookEvent kind;
    std::string json;
  };
  struct Retry {
    WebhookDelivery delivery;
    Instant due;
  };
  static std::string absence_of(std::string_view app, const Event& event);

  std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::deque<Waiting> ready_;
  // Empty channels, and when they are vacated.
  std::map<std::string, std::pair<Instant, Waiting>, std::less<>> absences_;
  std::vector<Retry> retries_;
  std::size_t retrying_ = 0;   // events in them
  std::size_t under_way_ = 0;  // events handed out
  WebhookFigures figures_;
};

// The pause before the next try, after so many failures: 1 s, doubled each time, at most a minute.
Duration webhook_pause(std::uint32_t failures);

}  // namespace holdfast::pusher
