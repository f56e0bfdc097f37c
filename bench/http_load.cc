// Sends one HTTP request over and over: so many connections, each with one request under way. One
// thread, bare epoll: what it measures is the server's.
//
//   http_load ADDRESS PORT CONNECTIONS SECONDS < request
//
// Prints how many answers came, how many of them with a status other than 2xx, and the seconds.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

int connect_to(const char* address, int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  const int one = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address, &in.sin_addr);
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&in), sizeof in) != 0)
    give_up("http_load: connect");
  return descriptor;
}

// The bytes of the answer at the front of `text`; 0: not all of it is here.
std::size_t answer_size(std::string_view text) {
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  std::size_t body = 0;
  for (std::size_t at = 0; at < head; at = text.find("\r\n", at) + 2) {
    constexpr std::string_view kLength = "content-length:";
    if (strncasecmp(text.data() + at, kLength.data(), kLength.size()) == 0)
      body = std::strtoul(text.data() + at + kLength.size(), nullptr, 10);
  }
  return text.size() < head + 4 + body ? 0 : head + 4 + body;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: http_load ADDRESS PORT CONNECTIONS SECONDS < request\n");
    return 2;
  }
  const std::string request{std::istreambuf_iterator<char>(std::cin), {}};
  const auto send_request = [&request](int descriptor) {
    if (send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      give_up("http_load: send");
  };
  const int epoll = epoll_create1(0);
  std::vector<std::string> partial;
  for (int i = 0; i < std::atoi(argv[3]); ++i) {
    const int descriptor = connect_to(argv[1], std::atoi(argv[2]));
    partial.resize(static_cast<std::size_t>(descriptor) + 1);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    send_request(descriptor);
  }
  std::uint64_t answers = 0, refused = 0;
  std::vector<epoll_event> events(512);
  char bytes[16 * 1024];
  const auto began = Clock::now();
  const auto end = began + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(std::atof(argv[4])));
  auto now = began;
  for (; now < end; now = Clock::now()) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      const ssize_t size = recv(descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
      if (size <= 0) give_up("http_load: the server ended a connection");
      std::string& text = partial[static_cast<std::size_t>(descriptor)];
      text.append(bytes, static_cast<std::size_t>(size));
      while (const std::size_t answer = answer_size(text)) {
        ++answers;
        if (text.compare(9, 1, "2") != 0) ++refused;
        text.erase(0, answer);
        send_request(descriptor);
      }
    }
  }
  std::printf("%llu answers, %llu refused, %.3f seconds\n",
              static_cast<unsigned long long>(answers), static_cast<unsigned long long>(refused),
              std::chrono::duration<double>(now - began).count());
  return 0;
}
