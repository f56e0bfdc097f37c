#pragma once

// The one door into a worker: publications, from any thread.

#include <atomic>
#include <cstdint>
#include <optional>

#include "broker/publication.h"
#include "net/waker.h"

namespace holdfast::broker {

// Many writers, one reader, no lock: writers exchange the head of a linked list, the reader follows
// the links from the tail.
class Mailbox {
 public:
  // `waker` outlives the mailbox. Beyond `publications_max` waiting, post() refuses.
  Mailbox(net::Waker& waker, std::uint32_t publications_max);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. False when full; the reader will miss this one.
  bool post(SharedPublication publication) {
    const bool taken = enqueue(std::move(publication));
    if (taken) wake();
    return taken;
  }
  // The same without waking the reader: call wake() soon.
  bool enqueue(SharedPublication publication);
  // The reader's thread. In each writer's order. A post under way may be seen only after the
  // waker's next wake.
  std::optional<SharedPublication> next();
  // Any thread: what was enqueued is there. The reader's own: come back although nobody posts (it
  // stopped before the end).
  void wake() { waker_.wake(); }

 private:
  struct Node {
    std::atomic<Node*> next{nullptr};
    SharedPublication publication;
  };

  net::Waker& waker_;
  std::uint32_t publications_max_;
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<Node*> head_;  // the newest
  Node* tail_;               // the last one read; what it links to is next
};

}  // namespace holdfast::broker
