#include "holdfast/client.h"

#include <algorithm>
#include <chrono>

#include "client/link.h"

namespace holdfast {
namespace {

// "For ever" is said with milliseconds::max(), which no clock of nanoseconds can be moved by.
constexpr std::chrono::milliseconds kLongest = std::chrono::years(100);

std::chrono::milliseconds bounded(std::chrono::milliseconds time) {
  return std::clamp(time, std::chrono::milliseconds(0), kLongest);
}

ClientOptions bounded(ClientOptions options) {
  for (auto* time : {&options.open_timeout, &options.close_timeout, &options.silence_max})
    *time = bounded(*time);
  return options;
}

}  // namespace

struct Client::Parts {
  std::unique_ptr<net::Waker> waker;
  std::unique_ptr<net::Loop> loop;
  client::Link link;
};

Client::Client(ClientOptions options) : options_(bounded(std::move(options))) {
  auto waker = net::Waker::create();
  if (!waker) {
    problem_ = waker.error().message;
    return;
  }
  // One socket has nothing to batch, and rings would be the most of its memory.
  auto loop = net::make_loop({.io = net::Io::kEpoll}, waker->get());
  if (!loop) {
    problem_ = loop.error().message;
    return;
  }
  net::Loop& turned = **loop;
  parts_.reset(new Parts{std::move(*waker), std::move(*loop), client::Link(turned, options_)});
}

Client::~Client() = default;

std::optional<std::string> Client::connect(std::string_view url) {
  return parts_ == nullptr ? problem_ : parts_->link.connect(url);
}
std::optional<ClientEvent> Client::next(std::chrono::milliseconds longest) {
  return parts_ == nullptr ? std::nullopt : parts_->link.next(bounded(longest));
}
bool Client::send(MessageKind kind, Bytes payload) {
  return parts_ != nullptr && parts_->link.send(kind, payload);
}
void Client::close(std::uint16_t code, std::string_view reason) {
  if (parts_ != nullptr) parts_->link.close(code, reason);
}
bool Client::is_open() const { return parts_ != nullptr && parts_->link.is_open(); }
bool Client::is_over() const { return parts_ == nullptr || parts_->link.is_over(); }
std::uint64_t Client::queued_bytes() const {
  return parts_ == nullptr ? 0 : parts_->link.queued_bytes();
}
std::string_view Client::subprotocol() const {
  return parts_ == nullptr ? std::string_view() : parts_->link.subprotocol();
}
void Client::wake() {
  if (parts_ != nullptr) parts_->waker->wake();
}

}  // namespace holdfast
