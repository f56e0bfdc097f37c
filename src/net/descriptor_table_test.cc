#include "net/descriptor_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <thread>
#include <vector>

#include "net/transport.h"

namespace holdfast::net {
namespace {

// From here on the kernel answers these system calls with EPERM, as a container's profile does.
bool forbid(const std::vector<unsigned>& calls) {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offsetof(seccomp_data, nr)))};
  for (const unsigned call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

enum Outcome : int { kSeparate = 0, kShared = 1, kRefused = 2, kNoFilter = 3 };

// Whether what a thread opens after taking a table of its own is unknown to the others. In a child:
// a filter cannot be taken off.
Outcome outcome_without(const std::vector<unsigned>& calls) {
  const pid_t child = fork();
  if (child == 0) {
    if (!calls.empty() && !forbid(calls)) _exit(kNoFilter);
    int opened = -1;
    bool taken = false;
    std::thread([&] {
      taken = take_private_descriptor_table().has_value();
      opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }).join();
    if (!taken) _exit(kRefused);
    // The other thread's table went with it, so a number that is known here was opened here.
    _exit(fcntl(opened, F_GETFD) == -1 ? kSeparate : kShared);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return static_cast<Outcome>(WEXITSTATUS(status));
}

TEST(DescriptorTable, IsAThreadsOwnOnceItWasTaken) { EXPECT_EQ(outcome_without({}), kSeparate); }

TEST(DescriptorTable, IsTakenWithoutUnshareWhereAContainerForbidsIt) {
  EXPECT_EQ(outcome_without({SYS_unshare}), kSeparate);
}

TEST(DescriptorTable, IsRefusedWhereBothWaysAreForbidden) {
  EXPECT_EQ(outcome_without({SYS_unshare, SYS_close_range}), kRefused);
}

// One more thing in a thread's history: a call with an access.
[[gnu::noinline]] void happen(std::atomic<int>& stage) {
  if (stage.load(std::memory_order_relaxed) < 0) std::abort();
}

// ThreadSanitizer takes them for one thing of the process, and forgets who opened it where much
// happens afterwards, so that cmake/tsan.suppressions does not know it again.
TEST(DescriptorTable, NamesakesOfTwoTablesAreNoRace) {
  std::array<int, 2> pair;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  std::atomic<int> stage = 0;
  const auto wait_for = [&stage](int wanted) {
    while (stage.load(std::memory_order_relaxed) < wanted) std::this_thread::yield();
  };
  int answered = 0;
  std::thread opens([&] {
    EXPECT_TRUE(take_private_descriptor_table());
    stage.store(1, std::memory_order_relaxed);
    wait_for(2);
    close(pair[0]);
    while (socket(AF_UNIX, SOCK_STREAM, 0) < pair[0]) {
    }
    for (int i = 0; i < 4'000'000; ++i) happen(stage);
    stage.store(3, std::memory_order_relaxed);
  });
  std::thread receives([&] {
    wait_for(1);
    EXPECT_TRUE(take_private_descriptor_table());
    stage.store(2, std::memory_order_relaxed);
    wait_for(3);
    const auto transport = make_syscall_transport();
    std::byte byte{'x'};
    iovec piece{&byte, 1};
    SendOperation send{pair[1], &piece, 1, 1, 0, 0};
    transport->send(std::span(&send, 1));
    ReceiveOperation receive{pair[0], &byte, 1, 0};
    transport->receive(std::span(&receive, 1));
    answered = receive.result;
  });
  opens.join();
  receives.join();
  EXPECT_EQ(answered, 1);
}

}  // namespace
}  // namespace holdfast::net
