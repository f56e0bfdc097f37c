#include "doctor/probes.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <future>
#include <utility>

#include "net/descriptor_table.h"

namespace holdfast::doctor {
namespace {

// A descriptor that is closed at the end of its scope.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Socket tcp_socket() { return Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

constexpr std::size_t kConnections = 8;

std::optional<std::uint64_t> conntrack_count(const RootedFiles& files) {
  const auto numbers = files.read_numbers(sysctl_path("net.netfilter.nf_conntrack_count"));
  if (!numbers) return std::nullopt;
  return numbers->front();
}

// Entries for what others open at the same moment can only add to the count: one that rose by less
// than we opened means no.
std::optional<bool> conntrack_sees_connections(const RootedFiles& files) {
  const Socket listener = tcp_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), name, length) != 0 || ::listen(listener.get(), kConnections) != 0 ||
      ::getsockname(listener.get(), name, &length) != 0) {
    return std::nullopt;
  }
  const auto before = conntrack_count(files);
  std::array<std::optional<Socket>, kConnections> connections;
  for (auto& connection : connections) {
    connection = tcp_socket();
    if (::connect(connection->get(), name, length) != 0) return std::nullopt;
  }
  const auto during = conntrack_count(files);
  if (!before || !during) return std::nullopt;
  return *during >= *before + kConnections;
}

// io_uring_setup(2) of no entries always fails: with EINVAL or EFAULT where a ring may be had, and
// otherwise with the reason why not.
int io_uring_error() {
#ifdef SYS_io_uring_setup
  ::syscall(SYS_io_uring_setup, 0, nullptr);
  return errno == EINVAL || errno == EFAULT ? 0 : errno;
#else
  return ENOSYS;
#endif
}

// On a thread of its own, as a worker does it: a table cannot be given back.
std::string private_tables_error() {
  return std::async(std::launch::async,
                    [] {
                      const auto taken = net::take_private_descriptor_table();
                      return taken ? std::string() : taken.error().message;
                    })
      .get();
}

}  // namespace

Probes probe_this_machine(const RootedFiles& files) {
  Probes probes;
  if (conntrack_count(files)) probes.conntrack_sees_connections = conntrack_sees_connections(files);
  probes.private_tables_error = private_tables_error();
  probes.io_uring_error = io_uring_error();
  return probes;
}

}  // namespace holdfast::doctor
