#include "doctor/cgroup.h"

#include <gtest/gtest.h>

#include "doctor/fake_machine.h"

namespace holdfast::doctor {
namespace {

constexpr const char* kVersion2Mount =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";

TEST(CgroupLimits, AreEmptyWhereNothingIsLimited) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "0::/user.slice\n");
  machine.set("/proc/self/mountinfo", kVersion2Mount);
  machine.set("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  machine.set("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  const CgroupLimits limits = read_cgroup_limits(machine.files());
  EXPECT_FALSE(limits.memory_bytes_max);
  EXPECT_FALSE(limits.cpus_max);
  EXPECT_FALSE(limits.tasks_max);
}

TEST(CgroupLimits, CountTheTightestOfAllGroupsUpToTheRoot) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "0::/system.slice/holdfast.service\n");
  machine.set("/proc/self/mountinfo", kVersion2Mount);
  machine.set("/sys/fs/cgroup/system.slice/holdfast.service/memory.max", "8589934592\n");
  machine.set("/sys/fs/cgroup/system.slice/memory.max", "4294967296\n");
  machine.set("/sys/fs/cgroup/system.slice/memory.current", "1073741824\n");
  machine.set("/sys/fs/cgroup/system.slice/holdfast.service/cpu.max", "150000 100000\n");
  machine.set("/sys/fs/cgroup/system.slice/pids.max", "4915\n");
  machine.set("/sys/fs/cgroup/system.slice/pids.current", "15\n");
  const CgroupLimits limits = read_cgroup_limits(machine.files());
  EXPECT_EQ(limits.memory_bytes_max, 4294967296u);
  EXPECT_EQ(limits.memory_bytes_used, 1073741824u);
  EXPECT_EQ(limits.cpus_max, 1.5);
  EXPECT_EQ(limits.tasks_max, 4915u);
  EXPECT_EQ(limits.tasks_used, 15u);
}

TEST(CgroupLimits, LeaveColdFileCacheOutOfWhatIsUsed) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "0::/\n");
  machine.set("/proc/self/mountinfo", kVersion2Mount);
  machine.set("/sys/fs/cgroup/memory.max", "4000000\n");
  machine.set("/sys/fs/cgroup/memory.current", "3000000\n");
  machine.set("/sys/fs/cgroup/memory.stat", "anon 500000\nfile 2400000\ninactive_file 2000000\n");
  EXPECT_EQ(read_cgroup_limits(machine.files()).memory_bytes_used, 1000000u);
}

TEST(CgroupLimits, AreReadFromVersionOneToo) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup",
              "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n3:pids:/docker/abc\n0::/\n");
  machine.set("/proc/self/mountinfo",
              "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
              "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
  // A container sees its own group as the mount's root.
  machine.set("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  machine.set("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1048576\n");
  machine.set("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "50000\n");
  machine.set("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  machine.set("/sys/fs/cgroup/pids/docker/abc/pids.max", "100\n");
  const CgroupLimits limits = read_cgroup_limits(machine.files());
  EXPECT_EQ(limits.memory_bytes_max, 2147483648u);
  EXPECT_EQ(limits.memory_bytes_used, 1048576u);
  EXPECT_EQ(limits.cpus_max, 0.5);
  EXPECT_EQ(limits.tasks_max, 100u);
  EXPECT_EQ(limits.group, "/docker/abc");
}

TEST(CgroupLimits, TakeVersionOnesHugeFigureForNone) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "4:memory:/\n5:cpu:/\n");
  machine.set("/proc/self/mountinfo",
              "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  machine.set("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  machine.set("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  machine.set("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  const CgroupLimits limits = read_cgroup_limits(machine.files());
  EXPECT_FALSE(limits.memory_bytes_max);
  EXPECT_FALSE(limits.cpus_max);
}

}  // namespace
}  // namespace holdfast::doctor
