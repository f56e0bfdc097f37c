#include "net/descriptor_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <thread>
#include <vector>

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

}  // namespace
}  // namespace holdfast::net
