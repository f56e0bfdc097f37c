// io_uring as a way to make many calls at once, not as a way to wait: no request is ever left armed
// in the kernel, since one per idle connection would cost 640 bytes (docs/adr/0003). Every
// operation here is non-blocking, so all of them are done when io_uring_enter(2) returns; the wait
// for `count` completions only states it.

#include <fmt/format.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/transport.h"

namespace holdfast::net {
namespace {

// IORING_ACCEPT_DONTWAIT (Linux 6.10; newer than liburing 2.3): an empty queue answers EAGAIN.
// Without it the request would stay armed, even though the listener is non-blocking.
constexpr std::uint16_t kAcceptDontWait = 1u << 1;
// So few are cheaper as calls of their own than as a trip through the ring.
constexpr std::size_t kFew = 2;

class UringTransport final : public Transport {
 public:
  explicit UringTransport(const io_uring& ring) : ring_(ring) {}
  ~UringTransport() override { io_uring_queue_exit(&ring_); }
  UringTransport(const UringTransport&) = delete;
  UringTransport& operator=(const UringTransport&) = delete;

  void receive(std::span<ReceiveOperation> operations) override {
    if (operations.size() <= kFew) return calls_->receive(operations);
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const ReceiveOperation& operation = operations[i];
      io_uring_sqe* entry = next_entry(i);
      io_uring_prep_recv(entry, operation.descriptor, operation.into, operation.capacity,
                         MSG_DONTWAIT);
      entry->user_data = i;
    }
    submit(operations.size(), [&](std::size_t i, int result) { operations[i].result = result; });
  }

  void send(std::span<SendOperation> operations) override {
    if (operations.size() <= kFew) return calls_->send(operations);
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const SendOperation& operation = operations[i];
      io_uring_sqe* entry = next_entry(i);
      if (operation.count == 1) {
        io_uring_prep_send(entry, operation.descriptor, operation.pieces->iov_base,
                           operation.pieces->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
      } else {
        messages_[i] = {};
        messages_[i].msg_iov = const_cast<iovec*>(operation.pieces);
        messages_[i].msg_iovlen = operation.count;
        io_uring_prep_sendmsg(entry, operation.descriptor, &messages_[i],
                              MSG_DONTWAIT | MSG_NOSIGNAL);
      }
      entry->user_data = i;
    }
    submit(operations.size(), [&](std::size_t i, int result) { operations[i].result = result; });
  }

  void accept(int listener, std::span<int> results) override {
    if (accept_by_call_) return calls_->accept(listener, results);
    for (std::size_t i = 0; i < results.size(); ++i) {
      io_uring_sqe* entry = next_entry(i);
      io_uring_prep_accept(entry, listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      entry->ioprio = kAcceptDontWait;
      entry->user_data = i;
    }
    submit(results.size(), [&](std::size_t i, int result) { results[i] = result; });
    if (results[0] != -EINVAL) return;
    accept_by_call_ = true;  // a kernel before 6.10
    calls_->accept(listener, results);
  }

  void watch(int epoll, std::uint32_t events, std::span<int> descriptors) override {
    if (descriptors.size() <= kFew) return calls_->watch(epoll, events, descriptors);
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      events_[i].events = events;
      events_[i].data.u64 = static_cast<std::uint32_t>(descriptors[i]);
      io_uring_sqe* entry = next_entry(i);
      io_uring_prep_epoll_ctl(entry, epoll, descriptors[i], EPOLL_CTL_ADD, &events_[i]);
      entry->user_data = i;
    }
    submit(descriptors.size(), [&](std::size_t i, int result) {
      if (result < 0) descriptors[i] = result;
    });
  }

  void close(std::span<const int> descriptors) override {
    if (descriptors.size() <= kFew) return calls_->close(descriptors);
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      io_uring_sqe* entry = next_entry(i);
      io_uring_prep_close(entry, descriptors[i]);
      entry->user_data = i;
    }
    submit(descriptors.size(), [](std::size_t, int) {});
  }

  std::string_view name() const override { return "io_uring"; }

 private:
  io_uring_sqe* next_entry(std::size_t index) {
    CHECK(index < kBatch);
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    return entry;
  }

  template <class Take>
  void submit(std::size_t count, Take take) {
    std::size_t done = 0;
    while (done < count) {
      const int status = io_uring_submit_and_wait(&ring_, static_cast<unsigned>(count - done));
      // EINTR: a signal; EAGAIN and EBUSY: the kernel lacks memory just now. What was queued stays
      // queued.
      CHECK(status >= 0 || status == -EINTR || status == -EAGAIN || status == -EBUSY);
      io_uring_cqe* completion;
      unsigned head;
      unsigned seen = 0;
      io_uring_for_each_cqe(&ring_, head, completion) {
        take(static_cast<std::size_t>(completion->user_data), completion->res);
        ++seen;
      }
      io_uring_cq_advance(&ring_, seen);
      done += seen;
    }
  }

  io_uring ring_;
  bool accept_by_call_ = false;
  std::unique_ptr<Transport> calls_ = make_syscall_transport();
  std::array<msghdr, kBatch> messages_;
  std::array<epoll_event, kBatch> events_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_uring_transport() {
  io_uring ring{};
  io_uring_params parameters{};
  // SINGLE_ISSUER and DEFER_TASKRUN: one thread alone uses the ring, so the kernel need not lock or
  // interrupt it. SUBMIT_ALL: one bad entry must not hold back those behind it.
  parameters.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
  const int status = io_uring_queue_init_params(Transport::kBatch, &ring, &parameters);
  if (status < 0) {
    return failure(
        fmt::format("io_uring is not to be had here: {} (kernel.io_uring_disabled, a seccomp "
                    "filter or a kernel before 6.1)",
                    std::strerror(-status)),
        -status);
  }
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  bool complete = probe != nullptr;
  for (const int operation : {IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_ACCEPT,
                              IORING_OP_EPOLL_CTL, IORING_OP_CLOSE}) {
    complete = complete && io_uring_opcode_supported(probe, operation);
  }
  if (probe != nullptr) io_uring_free_probe(probe);
  if (!complete) {
    io_uring_queue_exit(&ring);
    return failure(
        "this kernel's io_uring lacks an operation that is needed (recv, send, accept, epoll_ctl)");
  }
  // Saves a look-up in the descriptor table at each entry; the ring works without it too.
  io_uring_register_ring_fd(&ring);
  return std::unique_ptr<Transport>(std::make_unique<UringTransport>(ring));
}

}  // namespace holdfast::net
