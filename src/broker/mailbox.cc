#include "broker/mailbox.h"

namespace holdfast::broker {

Mailbox::Mailbox(net::Waker& waker, std::uint32_t publications_max)
    : waker_(waker), publications_max_(publications_max), head_(new Node), tail_(head_.load()) {}

Mailbox::~Mailbox() {
  while (tail_ != nullptr) {
    Node* next = tail_->next.load();
    delete tail_;
    tail_ = next;
  }
}

bool Mailbox::enqueue(SharedPublication publication) {
  if (waiting_.fetch_add(1, std::memory_order_relaxed) >= publications_max_) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  Node* node = new Node;
  node->publication = std::move(publication);
  Node* before = head_.exchange(node, std::memory_order_acq_rel);
  // Until this store the reader sees the list end at `before`; the wake after it makes the reader
  // look again.
  before->next.store(node, std::memory_order_release);
  return true;
}

std::optional<SharedPublication> Mailbox::next() {
  Node* next = tail_->next.load(std::memory_order_acquire);
  if (next == nullptr) return std::nullopt;
  SharedPublication publication = std::move(next->publication);
  delete tail_;
  tail_ = next;
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return publication;
}

}  // namespace holdfast::broker
