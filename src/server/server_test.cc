#include "holdfast/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "base/check.h"

// Server from outside, with a kernel: what a program that is built on it may rely on, and what it
// is told when it does what it may not.
namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Optional;

Options options_of_a_small_one() {
  Options options;
  options.listen = {"127.0.0.7:0"};
  options.admin = "off";
  options.workers = 1;
  options.connections_max = 16;
  options.io = IoChoice::kEpoll;
  return options;
}

// Answers each request with what `answer` says, on the worker's thread.
class Answers final : public Handler {
 public:
  explicit Answers(std::function<std::string()> answer) : answer_(std::move(answer)) {}
  std::optional<Reply> request(const Request&, Publisher&) override {
    return Reply{.body = answer_()};
  }

 private:
  std::function<std::string()> answer_;
};

std::shared_ptr<Handler> any_handler() { return std::make_shared<Handler>(); }

// The whole answer to a GET for "/".
std::string ask(const Server& server) {
  const std::string address = server.listening().front();
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  CHECK(::inet_pton(AF_INET, "127.0.0.7", &there.sin_addr) == 1);
  CHECK(::connect(descriptor, reinterpret_cast<const sockaddr*>(&there), sizeof(there)) == 0);
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  CHECK(::send(descriptor, kRequest.data(), kRequest.size(), 0) ==
        static_cast<ssize_t>(kRequest.size()));
  std::string answer;
  std::array<char, 4096> some;
  for (ssize_t size; (size = ::recv(descriptor, some.data(), some.size(), 0)) > 0;)
    answer.append(some.data(), static_cast<std::size_t>(size));
  ::close(descriptor);
  return answer;
}

// What a number names, on the thread that asks.
std::string file_of(int descriptor) {
  struct stat file{};
  if (::fstat(descriptor, &file) != 0) return "nothing";
  return std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
}

TEST(Server, IsDrainedOnlyWhenItWasToldToAndNobodyIsLeft) {
  Server server(options_of_a_small_one());
  ASSERT_EQ(server.start(), std::nullopt);
  EXPECT_EQ(server.connections(), 0u);
  EXPECT_FALSE(server.is_drained());
  server.drain();
  EXPECT_TRUE(server.is_drained());
}

TEST(Server, DrainsFromItsStartWhereItWasToldToBefore) {
  Server server(options_of_a_small_one());
  server.drain();
  ASSERT_EQ(server.start(), std::nullopt);
  EXPECT_TRUE(server.is_drained());
}

TEST(Server, HasNoCertificatesToReadAgainBeforeItsStart) {
  Options options = options_of_a_small_one();
  options.tls_cert = options.tls_key = {"/nowhere.pem"};
  Server server(options);
  EXPECT_THAT(server.reload_certificates(), Optional(HasSubstr("start()")));
  EXPECT_THAT(server.start(), Optional(HasSubstr("/nowhere.pem")));
  EXPECT_THAT(server.reload_certificates(), Optional(HasSubstr("start()")));
}

// In a child: a filter cannot be taken off. It sees no new thread, as under a limit of them.
TEST(Server, SaysThatThereAreNoThreadsToBeHad) {
  const auto start_without_threads = [] {
    constexpr auto kNumber = static_cast<unsigned>(offsetof(seccomp_data, nr));
    std::array program = {sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
                          sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
                          sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                          sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
                          sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
      _exit(2);
    Server server(options_of_a_small_one());
    const auto problem = server.start();
    std::fprintf(stderr, "%s\n", problem.value_or("it started").c_str());
    _exit(problem ? 0 : 1);
  };
  EXPECT_EXIT(start_without_threads(), testing::ExitedWithCode(0),
              "workers: the system gives 0 threads and no more \\(1 are wanted\\)");
}

TEST(Server, CallbacksHaveADescriptorTableOfTheirOwn) {
  std::array<int, 2> before, after;
  ASSERT_EQ(::pipe2(before.data(), O_CLOEXEC), 0);
  Server server(options_of_a_small_one());
  std::atomic<int> asked{-1};
  server.route("/", std::make_shared<Answers>([&asked] { return "<" + file_of(asked) + ">"; }));
  ASSERT_EQ(server.start(), std::nullopt);

  asked = before[0];
  const std::string file = file_of(asked);
  EXPECT_THAT(ask(server), HasSubstr("<" + file + ">"));  // it was open at the start
  ASSERT_EQ(::close(before[0]), 0);
  EXPECT_THAT(ask(server), HasSubstr("<" + file + ">"));  // and is, there

  ASSERT_EQ(::pipe2(after.data(), O_CLOEXEC), 0);
  asked = after[1];
  EXPECT_THAT(ask(server), Not(HasSubstr("<" + file_of(asked) + ">")));
  server.stop();
  for (const int descriptor : {before[1], after[0], after[1]}) ::close(descriptor);
}

TEST(ServerDeathTest, StartsOnce) {
  EXPECT_DEATH(
      {
        Server server(options_of_a_small_one());
        if (!server.start()) server.start();
      },
      "CHECK failed: !is_started_");
  // Where it failed too: what it had read of the options would be there twice.
  Options wrong = options_of_a_small_one();
  wrong.listen = {"nowhere"};
  EXPECT_DEATH(
      {
        Server server(wrong);
        if (server.start()) server.start();
      },
      "CHECK failed: !is_started_");
}

TEST(ServerDeathTest, IsNotStoppedByACallback) {
  EXPECT_DEATH(
      {
        Server server(options_of_a_small_one());
        server.route("/", std::make_shared<Answers>([&server] {
                       server.stop();
                       return "";
                     }));
        if (!server.start()) ask(server);
      },
      "CHECK failed: !called_by_a_callback");
}

TEST(ServerDeathTest, TakesNoPathOnceItHasStarted) {
  EXPECT_DEATH(
      {
        Server server(options_of_a_small_one());
        if (!server.start()) server.route("/late", any_handler());
      },
      "CHECK failed: !cluster_->is_started");
  EXPECT_DEATH(
      {
        Server server(options_of_a_small_one());
        if (!server.start()) server.admin_route("/late", any_handler());
      },
      "CHECK failed: !cluster_->is_started");
}

TEST(ServerDeathTest, TakesNoPathThatNoRequestCanHave) {
  Server server(options_of_a_small_one());
  EXPECT_DEATH(server.route("echo", any_handler()), "CHECK failed: path.starts_with");
  EXPECT_DEATH(server.route("", any_handler()), "CHECK failed: path.starts_with");
  EXPECT_DEATH(server.admin_route("*", any_handler()), "CHECK failed: path.starts_with");
}

TEST(ServerDeathTest, TakesNoPathWithoutAHandler) {
  Server server(options_of_a_small_one());
  EXPECT_DEATH(server.route("/echo", nullptr), "CHECK failed: handler != nullptr");
}

}  // namespace
}  // namespace holdfast
