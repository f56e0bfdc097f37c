#pragma once

// A Loop without a kernel. It keeps the promises of net/loop.h and no more: it reads and takes less
// than it could, in an order of its own, delivers what was collected before a close, gives the
// lowest free number to the next connection, and fails the run when its caller breaks a rule (a
// send after the end, a descriptor closed twice).

#include <deque>
#include <string>
#include <vector>

#include "net/loop.h"
#include "simulator/world.h"

namespace holdfast::simulator {

class SimulatedLoop final : public net::Loop {
 public:
  static constexpr net::Descriptor kListener = 3;
  static constexpr net::Descriptor kProxyListener = 4;       // each connection has a PROXY header
  static constexpr net::Descriptor kTlsListener = 5;         // and speaks TLS
  static constexpr net::Descriptor kTlsProxyListener = 6;    // behind that header
  static constexpr std::uint32_t kBalancerAddress = 0xFF00;  // where those come from

  // `world` and `waker` outlive the loop.
  SimulatedLoop(World& world, int worker, net::Waker& waker);

  // --- the simulation's side
  // A peer asks for a connection.
  void connect(Link& link);
  bool is_listening() const { return is_listening_; }
  // The worker has not taken all completions of this turn.
  bool is_dispatching() const { return is_dispatching_; }
  // The turn is over: what wait() does before it sleeps.
  void begin_wait();
  // When wait() would return, given what it is asked for: not before now.
  Instant wakes_at(Instant not_before, Instant deadline) const;
  // The link that holds a descriptor, also while it is being closed; null where none does.
  Link* link_of(net::Descriptor descriptor) const;
  const std::vector<Link*>& held() const { return held_; }
  // Closed since the last call.
  std::vector<Link*> take_closed();
  bool is_woken() const;
  // Somebody posted: the waker may have been woken.
  void look_at_waker() { may_be_woken_ = true; }

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t accept_failures() const { return accept_failures_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  std::uint64_t bytes_taken() const { return bytes_taken_; }
  std::uint64_t completions() const { return completions_; }

  // --- the worker's side
  void wait(Instant not_before, Instant deadline) override;
  bool is_behind() const override { return is_behind_; }
  std::optional<net::Completion> next() override;
  void send(net::Descriptor descriptor, Bytes bytes, std::uint32_t tag) override;
  void send(net::Descriptor descriptor, std::span<const Bytes> pieces, std::uint32_t tag) override;
  std::span<const net::Unsent> flush() override;
  void want_writable(net::Descriptor descriptor) override;
  void shutdown_send(net::Descriptor descriptor) override;
  void close(net::Descriptor descriptor) override;
  void reset(net::Descriptor descriptor) override;
  Result<net::Descriptor> listen(const net::Address&, const net::ListenOptions&) override {
    return kListener;
  }
  Result<net::Address> local_address(net::Descriptor) const override {
    return net::Address::ipv4(0x7F000001, 80);
  }
  Result<net::Address> peer_address(net::Descriptor descriptor) const override;
  Result<net::Descriptor> connect(const std::optional<net::Address>&,
                                  const net::Address&) override {
    return failure("a server does not connect");
  }
  Instant now() const override { return now_; }
  Instant clock() const override;
  std::string_view io_name() const override { return "simulated"; }

 private:
  enum class Source : std::uint8_t { kWaker, kListener, kReadable, kWritable };
  struct Ready {
    Source source;
    Link* link;
  };
  struct Send {
    Link* link;
    std::vector<Bytes> pieces;
    std::uint32_t tag;
  };

  std::optional<net::Completion> accept();
  std::optional<net::Completion> receive(Link& link);
  net::Descriptor lowest_free() const;
  Link* require(net::Descriptor descriptor, std::string_view what);
  void take(const Send& send);
  void put(Link& link, std::vector<Bytes> pieces, std::size_t bytes);
  void check_records(Link& link, const Send& send);
  void begin_close(net::Descriptor descriptor, bool with_reset);
  void end_close(Link& link);

  World& world_;
  const int worker_;
  net::Waker& waker_;
  mutable bool may_be_woken_ = true;  // spares asking the kernel
  Instant now_;
  bool is_listening_ = true;
  bool is_dispatching_ = false;
  bool is_behind_ = false;
  bool is_clock_stopped_ = false;
  Instant rests_until_{};
  std::deque<Link*> backlog_;
  std::vector<Link*> holders_;  // by descriptor
  std::vector<Link*> held_;
  std::deque<Ready> ready_;
  std::vector<std::byte> buffer_;  // of the last completion

  std::vector<Send> sends_;
  std::vector<net::Unsent> unsent_, reported_;
  std::vector<Link*> shutdowns_, closes_, closed_;
  std::vector<Link*> blocked_;  // not tried again in this flush

  std::uint64_t accepted_ = 0, accept_failures_ = 0, bytes_read_ = 0, bytes_taken_ = 0,
                completions_ = 0;
};

}  // namespace holdfast::simulator
