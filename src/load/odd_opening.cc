#include "load/odd_opening.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "load/error_name.h"
#include "load/tls_crowd.h"
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
      step_(other.step_),
      tls_(std::move(other.tls_)),
      codec_(std::move(other.codec_)),
      answer_(std::move(other.answer_)) {}

OddOpening& OddOpening::operator=(OddOpening&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(deadline_, other.deadline_);
  std::swap(request_, other.request_);
  std::swap(step_, other.step_);
  std::swap(tls_, other.tls_);
  std::swap(codec_, other.codec_);
  std::swap(answer_, other.answer_);
  return *this;
}

OddOpening::~OddOpening() {
  if (descriptor_ >= 0) reset_and_close(descriptor_);
}

int OddOpening::take() { return std::exchange(descriptor_, -1); }

short OddOpening::events() const { return step_ == Step::kConnecting ? POLLOUT : POLLIN; }

Result<OddOpening> OddOpening::begin(const net::Address& from, const net::Address& to,
                                     bool least_buffer, Instant deadline, std::string request,
                                     std::shared_ptr<const protocol::TlsClientContext> tls) {
  OddOpening opening(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), deadline,
                     std::move(request), std::move(tls));
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

Result<OddOpening::Progress> OddOpening::go_on(Instant now, protocol::TlsEngine& engine,
                                               TlsFacts& facts) {
  pollfd ready{descriptor_, events(), 0};
  if (::poll(&ready, 1, 0) > 0)
    return step_ == Step::kConnecting ? connected(engine) : hear(engine, facts);
  if (now < deadline_) return Progress::kUnderWay;
  switch (step_) {
    case Step::kConnecting:
      return failure("timeout connecting");
    case Step::kSecuring:
      ++facts.timeouts;
      return failure("timeout of the TLS handshake");
    case Step::kAsked:
      break;
  }
  return failure("timeout of the answer");
}

Result<OddOpening::Progress> OddOpening::connected(protocol::TlsEngine& engine) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return failed(error);
  Result<void> said;
  if (tls_ == nullptr) {
    step_ = Step::kAsked;
    said = say(as_bytes(request_), engine);
  } else {
    step_ = Step::kSecuring;
    codec_ = std::make_unique<protocol::TlsCodec>();
    codec_->begin_client(tls_, nullptr, false);
    said = say({}, engine);
  }
  if (!said) return tl::unexpected(said.error());
  return Progress::kUnderWay;
}

// The first bytes of a connection: its buffer has room for them. Over TLS with what that has to
// say, too.
Result<void> OddOpening::say(Bytes bytes, protocol::TlsEngine& engine) {
  std::vector<std::byte> sealed;
  if (codec_ != nullptr) {
    codec_->seal(engine, {&bytes, bytes.empty() ? 0u : 1u}, sealed);
    bytes = sealed;
  }
  const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size())) return failed(sent < 0 ? errno : EMSGSIZE);
  return {};
}

Result<OddOpening::Progress> OddOpening::hear(protocol::TlsEngine& engine, TlsFacts& facts) {
  std::array<std::byte, 4096> buffer;
  const ssize_t size = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::kUnderWay;
  if (size <= 0 && step_ == Step::kSecuring) ++facts.others;
  if (size < 0) return failed(errno);
  if (size == 0)
    return failure(step_ == Step::kSecuring ? "closed in the TLS handshake"
                                            : "closed without an answer");
  const MutableBytes bytes = MutableBytes(buffer).first(static_cast<std::size_t>(size));
  if (codec_ == nullptr) {
    answer_ += as_text(bytes);
  } else if (auto opened = open_records(bytes, engine, facts); !opened) {
    return tl::unexpected(opened.error());
  }
  return judge_answer();
}

Result<void> OddOpening::open_records(MutableBytes bytes, protocol::TlsEngine& engine,
                                      TlsFacts& facts) {
  using Kind = protocol::TlsOpened::Kind;
  std::vector<std::byte> scratch;
  while (true) {
    const protocol::TlsOpened opened = codec_->next(engine, bytes, scratch);
    switch (opened.kind) {
      case Kind::kMore:
        return codec_->has_something_to_say() ? say({}, engine) : Result<void>{};
      case Kind::kNothing:
        break;
      case Kind::kEstablished:
        ++facts.full;
        step_ = Step::kAsked;
        if (auto said = say(as_bytes(request_), engine); !said) return said;
        break;
      case Kind::kData:
        answer_ += as_text(opened.plaintext);
        break;
      case Kind::kClosed:
        return failure("closed without an answer");
      case Kind::kAlerted:
      case Kind::kFailed:
        if (!codec_->is_established()) count_failure(facts, *codec_->handshake());
        if (codec_->has_something_to_say()) (void)say({}, engine);
        return failure(protocol::describe_failure(opened, *codec_));
    }
  }
}

Result<OddOpening::Progress> OddOpening::judge_answer() const {
  const protocol::HttpLimits limits;
  protocol::HttpResponseParser parser(&limits);
  Bytes input = as_bytes(answer_);
  if (parser.feed(input) == protocol::HttpProgress::kError) return failure("malformed answer");
  if (!parser.head_done()) return Progress::kUnderWay;
  if (parser.response().status == 101) return Progress::kOpen;
  return failure(fmt::format("HTTP {}", parser.response().status));
}

}  // namespace holdfast::load
