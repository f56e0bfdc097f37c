// The floor: what the kernel alone charges for the main job. Bare epoll, one system call for each
// thing done, no HTTP parser, no checks, no limits: read what looks like a request, answer 101,
// ping each socket once an interval, send messages back, broadcast. Every figure of scripts/bench
// is a ratio to this program, run in the same session.
//
//   floor ADDRESS PORT WORKERS PING_INTERVAL_SECONDS [BROADCASTS_PER_SECOND BYTES]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kSweep = std::chrono::milliseconds(100);

int listen_on(const char* address, int port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address, &in.sin_addr);
  if (bind(listener, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0 ||
      listen(listener, 4096) != 0) {
    std::perror("floor: listen");
    std::exit(1);
  }
  return listener;
}

// Clients check the accept key, so it cannot be canned.
void upgrade(int descriptor, std::string_view request) {
  const std::size_t at = request.find("Sec-WebSocket-Key: ");
  if (at == std::string_view::npos) return;
  const std::string text =
      std::string(request.substr(at + 19, 24)) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[20], accept[32];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  EVP_EncodeBlock(accept, digest, 20);
  char answer[160];
  const int size = std::snprintf(
      answer, sizeof answer,
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: %s\r\n\r\n",
      accept);
  send(descriptor, answer, static_cast<std::size_t>(size), MSG_NOSIGNAL);
}

// A message that came whole goes back as it is; pongs and everything else are thrown away.
void echo(int descriptor, unsigned char* frame, std::size_t size) {
  while (size >= 6) {
    const bool is_message = (frame[0] & 0x0F) <= 2;
    const std::size_t extended = (frame[1] & 0x7F) == 126 ? 2 : 0;
    const std::size_t length =
        extended == 0 ? frame[1] & 0x7Fu : static_cast<std::size_t>(frame[2] << 8 | frame[3]);
    unsigned char* mask = frame + 2 + extended;
    unsigned char* payload = mask + 4;
    if (size < 6 + extended + length) return;
    if (is_message) {
      for (std::size_t i = 0; i < length; ++i) payload[i] ^= mask[i & 3];
      unsigned char* answer = payload - 2 - extended;
      if (extended == 2) std::memmove(answer + 2, frame + 2, 2);
      const unsigned char first = frame[0], second = frame[1] & 0x7F;
      answer[0] = first;
      answer[1] = second;
      send(descriptor, answer, 2 + extended + length, MSG_NOSIGNAL);
    }
    frame = payload + length;
    size -= 6 + extended + length;
  }
}

std::string text_frame(std::size_t bytes) {
  std::string frame(1, '\x81');
  if (bytes < 126) {
    frame += static_cast<char>(bytes);
  } else {
    frame += {'\x7E', static_cast<char>(bytes >> 8), static_cast<char>(bytes & 0xFF)};
  }
  return frame + std::string(bytes, 'x');
}

struct Broadcast {
  double per_second = 0;
  std::string frame;
};

void serve(const char* address, int port, double interval, const Broadcast& broadcast) {
  unshare(CLONE_FILES);
  const int epoll = epoll_create1(0);
  const int listener = listen_on(address, port);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  std::vector<char> open(20'000);
  std::vector<epoll_event> events(512);
  char bytes[4096];
  double cursor = 0;
  int end = 0;
  auto swept = Clock::now();
  const auto between = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(broadcast.per_second > 0 ? 1 / broadcast.per_second : 1e9));
  auto next_broadcast = swept + between;
  while (true) {
    const int count = epoll_wait(epoll, events.data(), 512, broadcast.per_second > 10 ? 10 : 100);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == listener) {
        for (int accepted; (accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
          event.data.fd = accepted;
          epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
          end = std::max(end, accepted + 1);
        }
        continue;
      }
      const ssize_t size = recv(descriptor, bytes, sizeof bytes, 0);
      char& is_open = open[static_cast<std::size_t>(descriptor)];
      if (size <= 0) {
        is_open = 0;
        close(descriptor);
      } else if (!is_open) {
        is_open = 1;
        upgrade(descriptor, {bytes, static_cast<std::size_t>(size)});
      } else {
        echo(descriptor, reinterpret_cast<unsigned char*>(bytes), static_cast<std::size_t>(size));
      }
    }
    const auto now = Clock::now();
    for (; now >= next_broadcast; next_broadcast += between) {
      for (int descriptor = 0; descriptor < end; ++descriptor) {
        if (open[static_cast<std::size_t>(descriptor)])
          send(descriptor, broadcast.frame.data(), broadcast.frame.size(), MSG_NOSIGNAL);
      }
    }
    if (now - swept < kSweep) continue;
    double due = std::chrono::duration<double>(now - swept).count() / interval * end;
    for (swept = now; due >= 1; --due) {
      if (cursor >= end) cursor = 0;
      const auto descriptor = static_cast<std::size_t>(cursor++);
      if (open[descriptor]) send(static_cast<int>(descriptor), "\x89\x00", 2, MSG_NOSIGNAL);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 7) {
    std::fprintf(
        stderr,
        "usage: floor ADDRESS PORT WORKERS PING_INTERVAL_SECONDS [BROADCASTS_PER_SECOND BYTES]\n");
    return 2;
  }
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  Broadcast broadcast;
  if (argc == 7)
    broadcast = {std::atof(argv[5]), text_frame(static_cast<std::size_t>(std::atoi(argv[6])))};
  std::vector<std::thread> workers;
  for (int i = 0; i < std::atoi(argv[3]); ++i) {
    workers.emplace_back(serve, argv[1], std::atoi(argv[2]), std::atof(argv[4]),
                         std::cref(broadcast));
  }
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::thread& worker : workers) worker.join();
}
