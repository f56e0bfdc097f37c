#pragma once

// A Loop without a kernel: a test says what completes and sees what was sent. Time stands still
// until the test moves it.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/loop.h"

namespace holdfast::server {

class FakeLoop final : public net::Loop {
 public:
  // --- the test's side
  void accept(int descriptor, net::Descriptor listener = 1000) {
    arrivals_.push_back({net::Completion::Kind::kAccepted, descriptor, listener});
  }
  void receive(int descriptor, std::string_view text) {
    texts_.emplace_back(text);
    auto* data = reinterpret_cast<std::byte*>(texts_.back().data());
    arrivals_.push_back(
        {net::Completion::Kind::kReceived, descriptor, -1, 0, {data, texts_.back().size()}});
  }
  void end(int descriptor, int error = 0) {
    arrivals_.push_back({net::Completion::Kind::kClosed, descriptor, -1, error});
  }
  void make_writable(int descriptor) {
    arrivals_.push_back({net::Completion::Kind::kWritable, descriptor});
  }
  void advance(Duration by) { now_ += by; }
  // How many bytes each further send to this socket is worth; then it is full.
  void limit(int descriptor, std::size_t room) { room_[descriptor] = room; }
  void unlimit(int descriptor) { room_.erase(descriptor); }

  // wait() tells less than there is.
  void be_behind(bool behind) { is_behind_ = behind; }

  net::Address peer = net::Address::ipv4(0x7F000001, 2);  // of every socket
  std::map<int, std::string> sent;
  std::map<int, int> sends;  // how many
  std::set<int> closed, reset_ones, shut, wants_writable;
  Instant last_not_before{}, last_deadline{};

  // --- the worker's side
  void wait(Instant not_before, Instant deadline) override {
    last_not_before = not_before;
    last_deadline = deadline;
  }
  bool is_behind() const override { return is_behind_; }
  std::optional<net::Completion> next() override {
    if (arrivals_.empty()) return std::nullopt;
    const net::Completion front = arrivals_.front();
    arrivals_.pop_front();
    return front;
  }
  void send(net::Descriptor descriptor, Bytes bytes, std::uint32_t tag) override {
    take(descriptor, {&bytes, 1}, tag);
  }
  void send(net::Descriptor descriptor, std::span<const Bytes> pieces, std::uint32_t tag) override {
    take(descriptor, pieces, tag);
  }
  std::span<const net::Unsent> flush() override {
    reported_.swap(unsent_);
    unsent_.clear();
    return reported_;
  }
  void want_writable(net::Descriptor descriptor) override { wants_writable.insert(descriptor); }
  void shutdown_send(net::Descriptor descriptor) override { shut.insert(descriptor); }
  void close(net::Descriptor descriptor) override { closed.insert(descriptor); }
  void reset(net::Descriptor descriptor) override { reset_ones.insert(descriptor); }
  Result<net::Descriptor> listen(const net::Address&, const net::ListenOptions&) override {
    return 1000;
  }
  Result<net::Address> local_address(net::Descriptor) const override {
    return net::Address::ipv4(0x7F000001, 1);
  }
  Result<net::Address> peer_address(net::Descriptor) const override { return peer; }
  Result<net::Descriptor> connect(const std::optional<net::Address>&,
                                  const net::Address&) override {
    return failure("no");
  }
  Instant now() const override { return now_; }
  Instant clock() const override { return now_; }
  std::string_view io_name() const override { return "fake"; }

 private:
  void take(int descriptor, std::span<const Bytes> pieces, std::uint32_t tag) {
    ++sends[descriptor];
    std::string text;
    for (const Bytes piece : pieces) text += as_text(piece);
    const std::size_t room = room_.contains(descriptor) ? room_[descriptor] : text.size();
    const std::size_t taken = std::min(room, text.size());
    if (room_.contains(descriptor)) room_[descriptor] -= taken;
    sent[descriptor] += text.substr(0, taken);
    if (taken < text.size())
      unsent_.push_back({descriptor, tag, static_cast<std::uint32_t>(taken), EAGAIN});
  }

  bool is_behind_ = false;
  std::deque<net::Completion> arrivals_;
  std::deque<std::string> texts_;
  std::map<int, std::size_t> room_;
  std::vector<net::Unsent> unsent_, reported_;
  Instant now_{std::chrono::seconds(1000)};
};

}  // namespace holdfast::server
