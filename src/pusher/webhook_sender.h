#pragma once

// Carries webhooks to their servers: one thread, many requests at once (libcurl). A server that is
// slow or away holds up nobody but itself.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "pusher/app.h"
#include "pusher/webhook_queue.h"

namespace holdfast::pusher {

class WebhookSender {
 public:
  using Apps = std::function<std::shared_ptr<const AppTable>()>;
  struct Clocks {
    std::function<Instant()> now;
    std::function<std::int64_t()> unix_milliseconds;
  };

  // Starts the thread; `apps` and the clocks are called on it.
  WebhookSender(Apps apps, Clocks clocks);
  // What was not delivered by now is not.
  ~WebhookSender();
  WebhookSender(const WebhookSender&) = delete;
  WebhookSender& operator=(const WebhookSender&) = delete;

  WebhookQueue& queue() { return queue_; }

 private:
  struct Curl;
  void run();
  void rest(Duration longest);

  Apps apps_;
  Clocks clocks_;
  std::unique_ptr<Curl> curl_;
  WebhookQueue queue_;
  // Not a descriptor: workers have descriptor tables of their own, in which its number would be
  // somebody's socket.
  std::mutex mutex_;
  std::condition_variable something_;
  bool is_woken_ = false;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace holdfast::pusher
