#include "net/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/descriptor_table.h"

namespace holdfast::net {
namespace {

sockaddr_un name_of(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  return name;
}

int call(int (*function)(int, const sockaddr*, socklen_t), int descriptor,
         const sockaddr_un& name) {
  return function(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

int open_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

// What stands in the way at `path`; empty when it was a dead server's socket, which is removed.
std::string clear_the_way(const std::string& path, const sockaddr_un& name) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0) return errno == ENOENT ? "" : std::strerror(errno);
  if (!S_ISSOCK(file.st_mode)) return "there is a file of that name, and it is no socket";
  const int probe = open_socket();
  if (probe < 0) return std::strerror(errno);
  const int error = call(::connect, probe, name) == 0 ? 0 : errno;
  ::close(probe);
  if (error == 0 || error == EAGAIN) return "another server listens on it";
  if (error != ECONNREFUSED) return std::strerror(error);
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? "" : std::strerror(errno);
}

}  // namespace

Result<std::unique_ptr<UnixListener>> UnixListener::open(const std::string& path, mode_t mode,
                                                         int backlog) {
  const auto problem = [&](const std::string& what, int code) {
    return failure(fmt::format("cannot listen on unix:{}: {}", path, what), code);
  };
  constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kPathMax)
    return problem(fmt::format("the path has more than {} bytes", kPathMax), ENAMETOOLONG);
  const sockaddr_un name = name_of(path);
  const int descriptor = open_socket();
  if (descriptor < 0) return problem(std::strerror(errno), errno);
  auto listener = std::unique_ptr<UnixListener>(new UnixListener(descriptor, path));
  listener->named_ = false;
  const auto give_up = [&](const std::string& what, int code) {
    ::close(descriptor);
    return problem(what, code);
  };

  if (call(::bind, descriptor, name) != 0) {
    if (errno != EADDRINUSE) return give_up(std::strerror(errno), errno);
    if (const std::string obstacle = clear_the_way(path, name); !obstacle.empty())
      return give_up(obstacle, EADDRINUSE);
    if (call(::bind, descriptor, name) != 0) return give_up(std::strerror(errno), errno);
  }
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0) return give_up(std::strerror(errno), errno);
  listener->device_ = file.st_dev;
  listener->inode_ = file.st_ino;
  listener->named_ = true;
  // Before listen(): until then nobody can connect, whatever the umask left open.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(descriptor, backlog) != 0)
    return give_up(std::strerror(errno), errno);
  return listener;
}

UnixListener::~UnixListener() { remove_name(); }

int UnixListener::take_own() const { return descriptor_; }

void UnixListener::drop_own() const { close(); }

void UnixListener::close() const { ::close(descriptor_); }

void UnixListener::remove_name() {
  if (!named_.exchange(false)) return;
  struct stat file{};
  if (::lstat(path_.c_str(), &file) != 0 || file.st_dev != device_ || file.st_ino != inode_) return;
  ::unlink(path_.c_str());
}

}  // namespace holdfast::net
