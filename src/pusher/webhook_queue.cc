#include "pusher/webhook_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "pusher/signature.h"

namespace holdfast::pusher {
namespace {

bool is_wanted(const App& app, WebhookEvent kind) {
  return std::any_of(app.webhooks.begin(), app.webhooks.end(),
                     [&](const Webhook& hook) { return hook.wants(kind); });
}

}  // namespace

Duration webhook_pause(std::uint32_t failures) {
  constexpr std::uint32_t kDoublingsMax = 6;
  const auto seconds =
      std::chrono::seconds(1u << std::min(std::max(failures, 1u) - 1, kDoublingsMax));
  return std::min<Duration>(seconds, std::chrono::minutes(1));
}

std::string WebhookQueue::absence_of(std::string_view app, const Event& event) {
  return fmt::format("{}\x01{}", app, event.channel);
}

void WebhookQueue::note(const App& app, Event event, Instant now) {
  if (app.webhooks.empty() || !is_wanted(app, event.kind)) {
    // It may still end an absence that is wanted.
    if (app.webhooks.empty()) return;
  }
  const bool comes = event.kind == WebhookEvent::kChannelOccupied;
  const bool goes = event.kind == WebhookEvent::kChannelVacated;
  {
    const std::lock_guard lock(mutex_);
    if (comes) {
      const auto absence = absences_.find(absence_of(app.id, event));
      if (absence != absences_.end()) {
        absences_.erase(absence);
        return;
      }
    }
    if (!is_wanted(app, event.kind) && !goes) return;
    if (ready_.size() + absences_.size() + retrying_ + under_way_ >= kEventsMax) {
      ++figures_.dropped;
      return;
    }
    Waiting waiting{app.id, event.kind, std::move(event.json)};
    if (goes) {
      absences_.insert_or_assign(absence_of(app.id, event),
                                 std::pair(now + kAbsence, std::move(waiting)));
      return;  // due on the sender's next look; nobody is woken for it
    }
    ready_.push_back(std::move(waiting));
  }
  if (wake_) wake_();
}

std::vector<WebhookDelivery> WebhookQueue::take_due(const AppTable& apps, Instant now,
                                                    std::int64_t unix_milliseconds) {
  std::vector<WebhookDelivery> due;
  const std::lock_guard lock(mutex_);
  for (auto at = absences_.begin(); at != absences_.end();) {
    if (at->second.first > now) {
      ++at;
      continue;
    }
    ready_.push_back(std::move(at->second.second));
    at = absences_.erase(at);
  }
  // By app and hook, in the order of their happening.
  for (const App& app : apps.all()) {
    for (const Webhook& hook : app.webhooks) {
      std::string events;
      std::uint32_t count = 0;
      const auto post = [&] {
        if (count == 0) return;
        WebhookDelivery delivery{.url = hook.url, .key = app.key, .first_try = now};
        delivery.body = fmt::format(R"({{"time_ms":{},"events":[{}]}})", unix_milliseconds, events);
        delivery.signature = sign(app.secret, delivery.body);
        delivery.events = count;
        under_way_ += count;
        due.push_back(std::move(delivery));
        events.clear();
        count = 0;
      };
      for (const Waiting& one : ready_) {
        if (one.app != app.id || !hook.wants(one.kind)) continue;
        events += (events.empty() ? "" : ",") + one.json;
        if (++count == kEventsPerPost) post();
      }
      post();
    }
  }
  ready_.clear();
  for (auto at = retries_.begin(); at != retries_.end();) {
    if (at->due > now) {
      ++at;
      continue;
    }
    retrying_ -= at->delivery.events;
    under_way_ += at->delivery.events;
    due.push_back(std::move(at->delivery));
    at = retries_.erase(at);
  }
  return due;
}

void WebhookQueue::succeeded(const WebhookDelivery& delivery) {
  const std::lock_guard lock(mutex_);
  under_way_ -= delivery.events;
  figures_.delivered += delivery.events;
}

void WebhookQueue::failed(WebhookDelivery delivery, Instant now) {
  const std::lock_guard lock(mutex_);
  under_way_ -= delivery.events;
  const Instant due = now + webhook_pause(++delivery.attempts);
  if (due - delivery.first_try > kPatience) {
    figures_.dropped += delivery.events;
    return;
  }
  ++figures_.retried;
  retrying_ += delivery.events;
  retries_.push_back({std::move(delivery), due});
}

Instant WebhookQueue::next_due() const {
  const std::lock_guard lock(mutex_);
  if (!ready_.empty()) return Instant();
  Instant due = kNever;
  for (const auto& [key, absence] : absences_) due = std::min(due, absence.first);
  for (const Retry& retry : retries_) due = std::min(due, retry.due);
  return due;
}

WebhookFigures WebhookQueue::figures() const {
  const std::lock_guard lock(mutex_);
  WebhookFigures figures = figures_;
  figures.waiting = ready_.size() + absences_.size() + retrying_ + under_way_;
  return figures;
}

}  // namespace holdfast::pusher
