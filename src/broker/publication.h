#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/shared_bytes.h"
#include "holdfast/peer.h"

namespace holdfast::server {
class Worker;
}

namespace holdfast::broker {

// Something to be done on a worker's thread: with one peer, if it is still there, or with the
// worker itself.
struct Errand {
  PeerId peer = {};
  std::function<void(Peer&)> act = {};
  std::function<void(server::Worker&)> visit = {};  // instead of `act`
};

// Bytes that whoever asks first makes, for all: one that asks meanwhile, on another worker, waits
// for them.
class LazyWire {
 public:
  // Any thread. `make` returns SharedBytes; every caller's must make the same. The reference lives
  // as long as this.
  template <class Make>
  const SharedBytes& get(Make make) const {
    std::call_once(once_, [&] { bytes_ = make(); });
    return bytes_;
  }

 private:
  mutable std::once_flag once_;
  mutable SharedBytes bytes_;
};

// One message on its way to everyone who wants its topic. `wire` is what each of them is sent:
// encoded once, by the publisher.
struct Publication {
  std::string topic;
  SharedBytes wire;
  // What the message is the newest value of ("AAPL"); empty: of the topic itself. Only conflation
  // looks at it.
  std::string key = {};
  // The one subscriber that is not sent it, where there is one.
  PeerId except = {};
  // What a reader of an event stream says it has read, when it comes back; empty: nothing.
  std::string event_id = {};
  // Where there is one, this is no publication but only carries it to one worker.
  std::unique_ptr<const Errand> errand = nullptr;
  // What is sent to those who agreed on compression, by window: encoded once, when the first of
  // them is met.
  std::array<LazyWire, 3> deflated = {};
  LazyWire event = {};  // what event streams are sent
};

using SharedPublication = std::shared_ptr<const Publication>;

}  // namespace holdfast::broker
