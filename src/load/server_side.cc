#include "load/server_side.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace holdfast::load {
namespace {

struct Question {
  nlmsghdr head;
  inet_diag_req_v2 ask;
};

void copy_host(__be32 (&out)[4], const net::Address& address) {
  if (address.family() == AF_INET) {
    std::memcpy(out, &reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr, 4);
  } else {
    std::memcpy(out, &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr, 16);
  }
}

}  // namespace

ServerSide::ServerSide()
    : descriptor_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {
  // The answer is there when send() returns; a kernel that does not answer must not hold us up.
  const timeval soon{0, 100'000};
  if (descriptor_ >= 0) setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
}

ServerSide::~ServerSide() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<bool> ServerSide::is_established(const net::Address& server,
                                               const net::Address& client) const {
  if (descriptor_ < 0) return std::nullopt;
  Question question{};
  question.head.nlmsg_len = sizeof question;
  question.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.head.nlmsg_flags = NLM_F_REQUEST;
  question.ask.sdiag_family = static_cast<std::uint8_t>(server.family());
  question.ask.sdiag_protocol = IPPROTO_TCP;
  question.ask.idiag_states = ~0u;
  question.ask.id.idiag_sport = htons(server.port());
  question.ask.id.idiag_dport = htons(client.port());
  copy_host(question.ask.id.idiag_src, server);
  copy_host(question.ask.id.idiag_dst, client);
  question.ask.id.idiag_cookie[0] = question.ask.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (::send(descriptor_, &question, sizeof question, 0) != sizeof question) return std::nullopt;

  alignas(nlmsghdr) char answer[1024];
  const ssize_t size = ::recv(descriptor_, answer, sizeof answer, 0);
  const auto* head = reinterpret_cast<const nlmsghdr*>(answer);
  if (size < static_cast<ssize_t>(sizeof *head)) return std::nullopt;
  if (head->nlmsg_type == NLMSG_ERROR) {
    const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(head));
    return error->error == -ENOENT ? std::optional(false) : std::nullopt;
  }
  if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
      size < static_cast<ssize_t>(NLMSG_SPACE(sizeof(inet_diag_msg))))
    return std::nullopt;
  // Where the connection is gone, the kernel may find the listener in its place: that is not an
  // established one either.
  return static_cast<const inet_diag_msg*>(NLMSG_DATA(head))->idiag_state == TCP_ESTABLISHED;
}

}  // namespace holdfast::load
