#include "load/odd_opening.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "load/error_name.h"
#include "protocol/http_response.h"

namespace holdfast::load {
namespace {

template <class Value>
void set(int descriptor, int level, int option, const Value& value) {
  setsockopt(descriptor, level, option, &value, sizeof value);
}

tl::unexpected<Error> failed(int error) { return failure(std::string(error_name(error)), error); }

}  // namespace

void reset_and_close(int descriptor) {
  set(descriptor, SOL_SOCKET, SO_LINGER, linger{1, 0});
  ::close(descriptor);
}

OddOpening::OddOpening(OddOpening&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      deadline_(other.deadline_),
      request_(std::move(other.request_)),
      asked_(other.asked_),
      answer_(std::move(other.answer_)) {}

OddOpening& OddOpening::operator=(OddOpening&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(deadline_, other.deadline_);
  std::swap(request_, other.request_);
  std::swap(asked_, other.asked_);
  std::swap(answer_, other.answer_);
  return *this;
}

OddOpening::~OddOpening() {
  if (descriptor_ >= 0) reset_and_close(descriptor_);
}

int OddOpening::take() { return std::exchange(descriptor_, -1); }

short OddOpening::events() const { return asked_ ? POLLIN : POLLOUT; }

Result<OddOpening> OddOpening::begin(const net::Address& from, const net::Address& to,
                                     bool least_buffer, Instant deadline, std::string request) {
  OddOpening opening(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), deadline,
                     std::move(request));
  const int descriptor = opening.descriptor_;
  if (descriptor < 0) return failed(errno);
  set(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (least_buffer) set(descriptor, SOL_SOCKET, SO_RCVBUF, 1);  // the kernel makes it its least
  if (::bind(descriptor, from.get(), from.length()) != 0) return failed(errno);
  if (::connect(descriptor, to.get(), to.length()) != 0 && errno != EINPROGRESS) {
    return failed(errno);
  }
  return opening;
}

Result<OddOpening::Progress> OddOpening::go_on(Instant now) {
  pollfd ready{descriptor_, events(), 0};
  if (::poll(&ready, 1, 0) > 0) return asked_ ? read_answer() : ask();
  if (now < deadline_) return Progress::kUnderWay;
  return failure(asked_ ? "timeout of the answer" : "timeout connecting");
}

Result<OddOpening::Progress> OddOpening::ask() {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return failed(error);
  // The first bytes of a connection: its buffer has room for them.
  const ssize_t sent = ::send(descriptor_, request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request_.size())) return failed(sent < 0 ? errno : EMSGSIZE);
  asked_ = true;
  return Progress::kUnderWay;
}

Result<OddOpening::Progress> OddOpening::read_answer() {
  std::array<char, 1024> buffer;
  const ssize_t size = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::kUnderWay;
  if (size < 0) return failed(errno);
  if (size == 0) return failure("closed without an answer");
  answer_.append(buffer.data(), static_cast<std::size_t>(size));
  const protocol::HttpLimits limits;
  protocol::HttpResponseParser parser(&limits);
  Bytes input = as_bytes(answer_);
  if (parser.feed(input) == protocol::HttpProgress::kError) return failure("malformed answer");
  if (!parser.head_done()) return Progress::kUnderWay;
  if (parser.response().status == 101) return Progress::kOpen;
  return failure(fmt::format("HTTP {}", parser.response().status));
}

}  // namespace holdfast::load
