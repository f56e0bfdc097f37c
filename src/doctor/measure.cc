#include "doctor/measure.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "doctor/facts.h"
#include "net/clock.h"
#include "net/descriptor_table.h"
#include "net/machine.h"

namespace holdfast::doctor {
namespace {

using namespace std::chrono_literals;

// What the two roles say to each other. Sizes alone tell requests, pings and pongs apart: nobody
// else talks here.
constexpr std::size_t kRequestBytes = 180;  // an upgrade request as a browser's is, headers and all
constexpr std::size_t kAnswerBytes = 129;   // the answer to it (RFC 6455 4.2.2)
constexpr std::size_t kPingBytes = 2;       // RFC 6455 5.5.2, empty
constexpr std::size_t kPongBytes = 6;       // the same, masked
constexpr std::size_t kMessageBytes = 100;
constexpr std::size_t kLargeMessageBytes = 8192;
constexpr std::size_t kBatch = kMeasuredBatch;
// Large messages under way at once, so that a small machine's tcp_mem is not exceeded.
constexpr std::size_t kLargeMessagesAtOnce = 1024;

constexpr Duration kPatience = 5s;  // for anything that should take milliseconds

std::array<std::byte, kLargeMessageBytes + 4> some_bytes{};
Bytes bytes_of(std::size_t size) { return Bytes(some_bytes).first(size); }

// CPU that the calling thread has used.
Duration thread_cpu() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

double microseconds(Duration duration, std::uint64_t count) {
  return static_cast<double>(duration.count()) / 1000 /
         static_cast<double>(std::max<std::uint64_t>(count, 1));
}

double slab_bytes() {
  const auto memory = read_memory(RootedFiles());
  const auto slab = memory.find("Slab");
  return slab == memory.end() ? 0 : static_cast<double>(slab->second);
}

// What the roles share.
struct Stage {
  net::Address address;  // where the server listens; set before the clients start
  std::uint32_t connections = 0;
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> client_bytes{0};  // that the clients received
  std::atomic<bool> clients_failed{false};
};

// The clients: connect in portions, ask, answer each ping with a pong, and count what comes.
class Clients {
 public:
  Clients(net::Loop& loop, Stage& stage) : loop_(loop), stage_(stage) {}

  void run() {
    while (!stage_.over) {
      open_some();
      loop_.wait(loop_.now(), net::monotonic_now() + 20ms);
      while (auto completion = loop_.next()) take(*completion);
      loop_.flush();
    }
    for (const net::Descriptor descriptor : open_) loop_.reset(descriptor);
    loop_.flush();
  }

 private:
  void open_some() {
    // A portion at a time, so that no queue of the kernel's overflows and waits for a
    // retransmission.
    while (started_ < stage_.connections && started_ - open_.size() < kBatch) {
      if (!loop_.connect(std::nullopt, stage_.address)) {
        stage_.clients_failed = true;
        return;
      }
      ++started_;
    }
  }

  void take(const net::Completion& completion) {
    switch (completion.kind) {
      case net::Completion::Kind::kConnected:
        if (completion.error != 0) stage_.clients_failed = true;
        open_.push_back(completion.descriptor);
        loop_.send(completion.descriptor, bytes_of(kRequestBytes), 0);
        break;
      case net::Completion::Kind::kReceived:
        stage_.client_bytes += completion.bytes.size();
        if (completion.bytes.size() == kPingBytes)
          loop_.send(completion.descriptor, bytes_of(kPongBytes), 0);
        break;
      case net::Completion::Kind::kClosed:
        stage_.clients_failed = true;
        break;
      case net::Completion::Kind::kAccepted:
      case net::Completion::Kind::kAcceptFailed:
      case net::Completion::Kind::kWritable:
      case net::Completion::Kind::kWoken:
        break;
    }
  }

  net::Loop& loop_;
  Stage& stage_;
  std::uint32_t started_ = 0;
  std::vector<net::Descriptor> open_;
};

// The server's role, and the measuring itself: CPU of the calling thread, divided by what was done.
class Server {
 public:
  Server(net::Loop& loop, Stage& stage, Duration each) : loop_(loop), stage_(stage), each_(each) {}

  Result<void> accept_all(double& microseconds_each) {
    const Duration before = thread_cpu();
    const Instant deadline = net::monotonic_now() + kPatience;
    while (answered_ < stage_.connections) {
      if (stage_.clients_failed || net::monotonic_now() > deadline)
        return gave_up("opening connections");
      turn();
    }
    microseconds_each = microseconds(thread_cpu() - before, answered_);
    return settle(std::uint64_t{answered_} * kAnswerBytes, "the upgrades");
  }

  Result<void> ping(double& microseconds_each) {
    std::uint64_t pings = 0;
    Duration cpu{};
    const Instant end = net::monotonic_now() + each_;
    std::size_t first = 0;
    while (net::monotonic_now() < end) {
      const std::size_t count = std::min(kBatch, peers_.size() - first);
      const Duration before = thread_cpu();
      for (std::size_t i = first; i < first + count; ++i)
        loop_.send(peers_[i], bytes_of(kPingBytes), 0);
      if (!loop_.flush().empty()) return gave_up("sending pings");
      const Instant deadline = net::monotonic_now() + kPatience;
      for (pong_bytes_ = 0; pong_bytes_ < count * kPongBytes;) {
        if (net::monotonic_now() > deadline) return gave_up("waiting for pongs");
        turn();
      }
      cpu += thread_cpu() - before;
      pings += count;
      sent_ += count * kPingBytes;
      first = first + count < peers_.size() ? first + count : 0;
    }
    microseconds_each = microseconds(cpu, pings);
    return {};
  }

  Result<void> deliver(std::size_t payload_bytes, double& microseconds_each) {
    const std::size_t at_once = payload_bytes > kMessageBytes
                                    ? std::min(kLargeMessagesAtOnce, peers_.size())
                                    : peers_.size();
    const std::size_t frame_bytes = payload_bytes + (payload_bytes < 126 ? 2 : 4);
    std::uint64_t messages = 0;
    Duration cpu{};
    const Instant end = net::monotonic_now() + each_;
    while (net::monotonic_now() < end) {
      const Duration before = thread_cpu();
      for (std::size_t i = 0; i < at_once; ++i) loop_.send(peers_[i], bytes_of(frame_bytes), 0);
      const bool all_taken = loop_.flush().empty();
      cpu += thread_cpu() - before;
      messages += at_once;
      if (!all_taken) return gave_up("delivering messages");
      if (auto arrived = settle(at_once * frame_bytes, "messages"); !arrived) return arrived;
    }
    microseconds_each = microseconds(cpu, messages);
    return {};
  }

 private:
  static tl::unexpected<Error> gave_up(std::string_view doing) {
    return failure(fmt::format("measuring: gave up at {}", doing));
  }

  // Waits, off the clock, until the clients have got `bytes` more.
  Result<void> settle(std::uint64_t bytes, std::string_view what) {
    sent_ += bytes;
    const Instant deadline = net::monotonic_now() + kPatience;
    while (stage_.client_bytes < sent_) {
      if (net::monotonic_now() > deadline)
        return gave_up(fmt::format("waiting for {} to arrive", what));
      std::this_thread::sleep_for(200us);
    }
    return {};
  }

  void turn() {
    loop_.wait(loop_.now(), net::monotonic_now() + 20ms);
    while (auto completion = loop_.next()) {
      if (completion->kind == net::Completion::Kind::kAccepted)
        peers_.push_back(completion->descriptor);
      if (completion->kind != net::Completion::Kind::kReceived) continue;
      if (completion->bytes.size() == kRequestBytes) {
        loop_.send(completion->descriptor, bytes_of(kAnswerBytes), 0);
        ++answered_;
      } else {
        pong_bytes_ += completion->bytes.size();
      }
    }
    loop_.flush();
  }

  net::Loop& loop_;
  Stage& stage_;
  Duration each_;
  std::vector<net::Descriptor> peers_;
  std::uint32_t answered_ = 0;
  std::uint64_t pong_bytes_ = 0;
  std::uint64_t sent_ = 0;
};

Result<Measured> run_server(net::Loop& loop, Stage& stage, Duration each) {
  Measured measured;
  Server server(loop, stage, each);
  const double before = slab_bytes();
  if (auto done = server.accept_all(measured.costs.accept_microseconds); !done)
    return tl::unexpected(done.error());
  measured.slab_growth_per_pair = (slab_bytes() - before) / stage.connections;
  measured.connections = stage.connections;
  measured.costs.kernel_bytes_per_socket = static_cast<double>(net::kernel_bytes_per_socket());
  measured.costs.kernel_bytes_per_pair = 2 * measured.costs.kernel_bytes_per_socket;
  if (auto done = server.ping(measured.costs.ping_microseconds); !done)
    return tl::unexpected(done.error());
  if (auto done = server.deliver(kMessageBytes, measured.costs.delivery_microseconds); !done)
    return tl::unexpected(done.error());
  double large = 0;
  if (auto done = server.deliver(kLargeMessageBytes, large); !done)
    return tl::unexpected(done.error());
  measured.costs.delivery_microseconds_per_kib =
      std::max(0.0, (large - measured.costs.delivery_microseconds) /
                        (static_cast<double>(kLargeMessageBytes - kMessageBytes) / 1024));
  return measured;
}

// Runs on a thread of its own: a private table cannot be given back.
Result<Measured> serve_and_measure(net::Io transport, std::uint32_t connections, Duration each) {
  if (auto table = net::take_private_descriptor_table(); !table)
    return tl::unexpected(table.error());
  auto loop = net::make_loop({.io = transport}, nullptr);
  if (!loop) return tl::unexpected(loop.error());
  const auto listener = (*loop)->listen(net::Address::ipv4(0x7f000001, 0), {});
  if (!listener) return tl::unexpected(listener.error());
  Stage stage;
  stage.address = *(*loop)->local_address(*listener);
  stage.connections = connections;
  auto clients = std::async(std::launch::async, [&stage]() -> Result<void> {
    const auto fail = [&stage](const Error& error) {
      stage.clients_failed = true;
      return tl::unexpected(error);
    };
    if (auto table = net::take_private_descriptor_table(); !table) return fail(table.error());
    auto client_loop = net::make_loop({}, nullptr);
    if (!client_loop) return fail(client_loop.error());
    Clients(**client_loop, stage).run();
    return {};
  });
  auto measured = run_server(**loop, stage, each);
  stage.over = true;
  if (const auto clients_end = clients.get(); !clients_end)
    return tl::unexpected(clients_end.error());
  return measured;
}

}  // namespace

Result<Measured> measure(net::Io transport, std::uint32_t connections, Duration each) {
  constexpr std::uint64_t kOwnDescriptors = 64;
  const std::uint64_t limit = net::raise_descriptor_limit().soft;
  const std::uint64_t room =
      limit > 2 * kOwnDescriptors ? limit - kOwnDescriptors : kOwnDescriptors;
  const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(connections, room));
  return std::async(std::launch::async, serve_and_measure, transport, count, each).get();
}

}  // namespace holdfast::doctor
