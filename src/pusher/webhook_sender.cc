#include "pusher/webhook_sender.h"

#include <curl/curl.h>

#include <algorithm>
#include <csignal>
#include <deque>

#include "base/check.h"

namespace holdfast::pusher {
namespace {

// The wait of a server for its answer, and of all of them for their turn.
constexpr long kTimeoutMilliseconds = 10'000;
constexpr std::size_t kRequestsMax = 32;
constexpr std::chrono::seconds kLongestSleep{3};
// Events of so long go out together.
constexpr std::chrono::milliseconds kGather{50};

std::size_t swallow(char*, std::size_t size, std::size_t count, void*) { return size * count; }

struct Request {
  WebhookDelivery delivery;
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;

  explicit Request(WebhookDelivery one) : delivery(std::move(one)), handle(curl_easy_init()) {
    CHECK(handle != nullptr);
    for (const std::string& line :
         {std::string("Content-Type: application/json"), "X-Pusher-Key: " + delivery.key,
          "X-Pusher-Signature: " + delivery.signature, std::string("Expect:")}) {
      headers = curl_slist_append(headers, line.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_URL, delivery.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(delivery.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, delivery.body.c_str());
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, kTimeoutMilliseconds);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "holdfast-webhooks");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
  }
  ~Request() {
    curl_easy_cleanup(handle);
    curl_slist_free_all(headers);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
};

}  // namespace

struct WebhookSender::Curl {
  Curl() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    CHECK(multi != nullptr);
  }
  ~Curl() {
    for (const auto& request : requests) curl_multi_remove_handle(multi, request->handle);
    requests.clear();
    curl_multi_cleanup(multi);
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  void start(WebhookDelivery delivery) {
    requests.push_back(std::make_unique<Request>(std::move(delivery)));
    curl_multi_add_handle(multi, requests.back()->handle);
  }
  // Calls end(delivery, is_good) for each that has ended.
  template <class End>
  void finish(End end) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode result = message->data.result;
      char* tag = nullptr;
      long status = 0;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &tag);
      curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
      auto* request = reinterpret_cast<Request*>(tag);
      curl_multi_remove_handle(multi, request->handle);
      end(std::move(request->delivery), result == CURLE_OK && status >= 200 && status < 300);
      std::erase_if(requests, [request](const auto& one) { return one.get() == request; });
    }
  }

  CURLM* multi = nullptr;
  std::vector<std::unique_ptr<Request>> requests;
};

WebhookSender::WebhookSender(Apps apps, Clocks clocks)
    : apps_(std::move(apps)),
      clocks_(std::move(clocks)),
      curl_(std::make_unique<Curl>()),
      queue_([this] {
        {
          const std::lock_guard lock(mutex_);
          if (std::exchange(is_woken_, true)) return;
        }
        something_.notify_one();
      }),
      thread_([this] { run(); }) {}

WebhookSender::~WebhookSender() {
  ending_.store(true);
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  something_.notify_one();
  thread_.join();
}

// Nothing is under way: until something is noted, or is due.
void WebhookSender::rest(Duration longest) {
  std::unique_lock lock(mutex_);
  something_.wait_for(lock, longest, [this] { return is_woken_; });
  is_woken_ = false;
}

void WebhookSender::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::deque<WebhookDelivery> due;
  while (!ending_.load()) {
    for (WebhookDelivery& one :
         queue_.take_due(*apps_(), clocks_.now(), clocks_.unix_milliseconds())) {
      due.push_back(std::move(one));
    }
    for (; !due.empty() && curl_->requests.size() < kRequestsMax; due.pop_front()) {
      curl_->start(std::move(due.front()));
    }
    int running = 0;
    curl_multi_perform(curl_->multi, &running);
    curl_->finish([&](WebhookDelivery delivery, bool is_good) {
      if (is_good) {
        queue_.succeeded(delivery);
      } else {
        queue_.failed(std::move(delivery), clocks_.now());
      }
    });
    if (!curl_->requests.empty()) {
      curl_multi_poll(curl_->multi, nullptr, 0, static_cast<int>(kGather.count()), nullptr);
      continue;
    }
    const Instant now = clocks_.now();
    const Instant next = std::min(queue_.next_due(), now + kLongestSleep);
    if (due.empty() && next > now) rest(next - now);
    if (!ending_.load()) std::this_thread::sleep_for(kGather);
  }
}

}  // namespace holdfast::pusher
