#pragma once

// A loop without a kernel: a test says what completes, and reads what was sent. Its clock stands
// still until it is moved, or somebody sleeps.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "net/loop.h"

namespace holdfast::client {

class FakeLoop final : public net::Loop {
 public:
  struct Connect {
    net::Descriptor descriptor;
    std::string from;
    std::string to;
  };

  // --- the test's side
  Instant time{std::chrono::seconds(1000)};
  std::deque<net::Completion> coming;
  std::vector<Connect> connects;
  std::map<net::Descriptor, std::string> sent;  // since open, or since it was taken out
  std::map<net::Descriptor, std::size_t> room;  // what a socket still takes; no entry: everything
  std::set<net::Descriptor> open;
  std::set<net::Descriptor> reset_ones;
  std::set<net::Descriptor> wants_writable;
  int connect_error = 0;  // what connect() fails with
  int flush_error = 0;    // what every send fails with

  void connected(net::Descriptor descriptor, int error = 0) {
    coming.push_back({net::Completion::Kind::kConnected, descriptor, -1, error, {}});
  }
  void received(net::Descriptor descriptor, std::string_view bytes) {
    buffers_.emplace_back(bytes);
    coming.push_back(
        {net::Completion::Kind::kReceived,
         descriptor,
         -1,
         0,
         {reinterpret_cast<std::byte*>(buffers_.back().data()), buffers_.back().size()}});
  }
  void closed(net::Descriptor descriptor, int error = 0) {
    coming.push_back({net::Completion::Kind::kClosed, descriptor, -1, error, {}});
  }
  void writable(net::Descriptor descriptor) {
    wants_writable.erase(descriptor);
    coming.push_back({net::Completion::Kind::kWritable, descriptor});
  }
  std::string take_sent(net::Descriptor descriptor) { return std::exchange(sent[descriptor], {}); }

  // --- net::Loop
  void wait(Instant, Instant deadline) override {
    if (coming.empty() && deadline != kNever) time = std::max(time, deadline);
    now_ = time;
  }
  std::optional<net::Completion> next() override {
    while (!coming.empty()) {
      const net::Completion completion = coming.front();
      coming.pop_front();
      if (open.contains(completion.descriptor) || completion.descriptor < 0) return completion;
    }
    buffers_.clear();
    return std::nullopt;
  }
  void send(net::Descriptor descriptor, Bytes bytes, std::uint32_t tag) override {
    CHECK(open.contains(descriptor));
    queue_.push_back({descriptor, bytes, tag});
  }
  void send(net::Descriptor, std::span<const Bytes>, std::uint32_t) override { CHECK(false); }
  std::span<const net::Unsent> flush() override {
    unsent_.clear();
    std::set<net::Descriptor> blocked;
    for (const Queued& queued : queue_) {
      if (flush_error != 0) {
        unsent_.push_back({queued.descriptor, queued.tag, 0, flush_error});
        continue;
      }
      std::size_t taken = queued.bytes.size();
      if (const auto limit = room.find(queued.descriptor); limit != room.end()) {
        taken = blocked.contains(queued.descriptor) ? 0 : std::min(taken, limit->second);
        limit->second -= taken;
      }
      sent[queued.descriptor] += as_text(queued.bytes.first(taken));
      if (taken == queued.bytes.size()) continue;
      blocked.insert(queued.descriptor);
      unsent_.push_back({queued.descriptor, queued.tag, static_cast<std::uint32_t>(taken), EAGAIN});
    }
    queue_.clear();
    for (const net::Descriptor descriptor : closing_) open.erase(descriptor);
    closing_.clear();
    return unsent_;
  }
  void want_writable(net::Descriptor descriptor) override { wants_writable.insert(descriptor); }
  void shutdown_send(net::Descriptor) override {}
  void close(net::Descriptor descriptor) override {
    CHECK(open.contains(descriptor));
    closing_.push_back(descriptor);
  }
  void reset(net::Descriptor descriptor) override {
    reset_ones.insert(descriptor);
    close(descriptor);
  }
  Result<net::Descriptor> listen(const net::Address&, const net::ListenOptions&) override {
    return failure("fake");
  }
  Result<net::Address> local_address(net::Descriptor) const override { return failure("fake"); }
  Result<net::Address> peer_address(net::Descriptor) const override { return failure("fake"); }
  Result<net::Descriptor> connect(const std::optional<net::Address>& from,
                                  const net::Address& to) override {
    if (connect_error != 0) return failure("fake", connect_error);
    net::Descriptor descriptor = 10;
    while (open.contains(descriptor)) ++descriptor;
    open.insert(descriptor);
    sent.erase(descriptor);
    connects.push_back({descriptor, from ? from->host() : "", to.to_string()});
    return descriptor;
  }
  Instant now() const override { return now_; }
  Instant clock() const override { return now(); }
  std::string_view io_name() const override { return "fake"; }

 private:
  struct Queued {
    net::Descriptor descriptor;
    Bytes bytes;
    std::uint32_t tag;
  };
  Instant now_ = time;
  std::deque<std::string> buffers_;
  std::vector<Queued> queue_;
  std::vector<net::Unsent> unsent_;
  std::vector<net::Descriptor> closing_;
};

}  // namespace holdfast::client
