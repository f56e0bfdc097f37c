#include "doctor/needs.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "doctor/fake_machine.h"
#include "doctor/worker_count.h"

namespace holdfast::doctor {
namespace {

const Check& check_of(const Examination& examination, std::string_view name) {
  for (const Check& check : examination.checks) {
    if (check.name == name) return check;
  }
  ADD_FAILURE() << "no check of " << name;
  static const Check none;
  return none;
}

Examination examine(const FakeMachine& machine, std::uint64_t connections,
                    Role role = Role::kServer, std::uint32_t workers = 0) {
  return doctor::examine(read_facts(machine.files()), {connections, role, workers});
}

Verdict verdict(const Examination& examination, std::string_view name) {
  return check_of(examination, name).verdict;
}

TEST(Needs, AreMetByAnUntunedServerForAHundredThousand) {
  FakeMachine machine;
  const Examination examination = examine(machine, 100'000);
  EXPECT_TRUE(examination.fits());
  EXPECT_EQ(examination.workers, 2u);
  for (const Check& check : examination.checks) {
    EXPECT_FALSE(check.why.empty()) << check.name;
    const bool wanting = check.verdict == Verdict::kLow || check.verdict == Verdict::kAdvice;
    EXPECT_TRUE(!wanting || !check.mend.empty()) << check.name;
  }
}

TEST(OpenFiles, ThatAreFewMakeMoreWorkersAndNoObstacle) {
  FakeMachine machine;
  machine.set_open_files("20000", "20000");
  const Examination examination = examine(machine, 600'000);
  const Check& check = check_of(examination, "open files, this session");
  EXPECT_EQ(examination.workers, 32u);
  EXPECT_EQ(check.verdict, Verdict::kAdvice);
  EXPECT_NE(check.why.find("32 workers in place of 2"), std::string::npos) << check.why;
  EXPECT_TRUE(examination.fits());
}

TEST(OpenFiles, ThatAreTooFewForAllWorkersThereMayBeAreLow) {
  FakeMachine machine;
  machine.set_open_files("256", "256");
  EXPECT_EQ(verdict(examine(machine, 600'000), "open files, this session"), Verdict::kLow);
}

TEST(OpenFiles, AreLowWhenAFixedNumberOfWorkersCannotHoldThem) {
  FakeMachine machine;
  machine.set_open_files("20000", "20000");
  const Examination few = examine(machine, 600'000, Role::kServer, 4);
  EXPECT_EQ(verdict(few, "open files, this session"), Verdict::kLow);
  EXPECT_NE(check_of(few, "open files, this session").why.find("--workers 32"), std::string::npos);
  EXPECT_EQ(verdict(examine(machine, 600'000, Role::kServer, 32), "open files, this session"),
            Verdict::kOk);
}

TEST(OpenFiles, OfTheServiceAndOfLoginsAreJudgedByTheirOwnSettings) {
  FakeMachine machine;
  machine.set("/etc/systemd/system/holdfast.service", "[Service]\nLimitNOFILE=4096\n");
  machine.set("/etc/security/limits.conf", "root hard nofile 8192\n");
  const Examination examination = examine(machine, 100'000);
  EXPECT_EQ(verdict(examination, "open files, this session"), Verdict::kOk);
  EXPECT_EQ(verdict(examination, "open files, logins of alice"), Verdict::kOk);
  EXPECT_EQ(verdict(examination, "open files, logins of root"), Verdict::kAdvice);
  EXPECT_EQ(verdict(examination, "open files, holdfast.service"), Verdict::kAdvice);
  EXPECT_EQ(check_of(examination, "open files, holdfast.service").open_files, 1'048'576u);
}

TEST(OpenFiles, AreNeverWantedAboveWhatTheKernelAllowsSinceLoginsWouldFail) {
  FakeMachine machine;
  machine.set_open_files("1024", "4096");
  machine.set_sysctl("fs.nr_open", "65536");
  const Examination examination = examine(machine, 600'000);
  EXPECT_EQ(verdict(examination, "fs.nr_open"), Verdict::kAdvice);
  EXPECT_EQ(check_of(examination, "open files, logins of alice").open_files, 65'536u);
}

TEST(PrivateTables, ThatAreForbiddenLetNoWorkerStart) {
  FakeMachine machine;
  Facts facts = read_facts(machine.files());
  facts.probes.private_tables_error = "unshare(CLONE_FILES): Operation not permitted";
  EXPECT_EQ(verdict(doctor::examine(facts, {}), "private descriptor tables"), Verdict::kLow);
  facts.probes.private_tables_error = "";
  EXPECT_EQ(verdict(doctor::examine(facts, {}), "private descriptor tables"), Verdict::kOk);
}

TEST(SystemWideCounters, AreLowWhenBothEndsTogetherExceedThem) {
  FakeMachine machine;
  machine.set_sysctl("fs.file-max", "800000");
  machine.set_sysctl("fs.epoll.max_user_watches", "800000");
  EXPECT_EQ(verdict(examine(machine, 600'000, Role::kServer), "fs.file-max"), Verdict::kOk);
  EXPECT_EQ(verdict(examine(machine, 600'000, Role::kServer), "fs.epoll.max_user_watches"),
            Verdict::kOk);
  EXPECT_EQ(verdict(examine(machine, 600'000, Role::kBoth), "fs.file-max"), Verdict::kLow);
  EXPECT_EQ(verdict(examine(machine, 600'000, Role::kBoth), "fs.epoll.max_user_watches"),
            Verdict::kLow);
}

TEST(Memory, IsLowWhenTheMachineHasTooLittleAndTellsHowManyWouldFit) {
  FakeMachine machine;
  machine.set("/proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB\n");
  EXPECT_EQ(verdict(examine(machine, 200'000), "memory"), Verdict::kOk);
  const Check check = check_of(examine(machine, 600'000), "memory");
  EXPECT_EQ(check.verdict, Verdict::kLow);
  EXPECT_NE(check.why.find("would fit"), std::string::npos);
}

TEST(Memory, OfAContainerBoundsThemToo) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "0::/\n");
  machine.set("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.set("/sys/fs/cgroup/memory.max", "1073741824\n");
  const Examination examination = examine(machine, 600'000);
  EXPECT_EQ(verdict(examination, "memory"), Verdict::kOk);
  EXPECT_EQ(verdict(examination, "memory, control group"), Verdict::kLow);
  EXPECT_FALSE(examination.fits());
}

TEST(Memory, UnderPressureOrSwappedOutIsWorthAWord) {
  FakeMachine machine;
  machine.set("/proc/pressure/memory", "some avg10=0 avg60=12.00 avg300=0 total=0\n");
  machine.set("/proc/meminfo",
              "MemTotal: 8388608 kB\nMemAvailable: 7340032 kB\nSwapTotal: 1000000 kB\nSwapFree: "
              "100000 kB\n");
  const Examination examination = examine(machine, 1000);
  EXPECT_EQ(verdict(examination, "memory pressure"), Verdict::kAdvice);
  EXPECT_EQ(verdict(examination, "swap"), Verdict::kAdvice);
  EXPECT_TRUE(examination.fits());
}

TEST(Ports, AreNotNeededByAServer) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 600'000), "net.ipv4.ip_local_port_range"),
            Verdict::kNotNeeded);
}

TEST(Ports, OfALoadMachineAreWidenedAndThenAddressesAskedFor) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 20'000, Role::kLoad), "net.ipv4.ip_local_port_range"),
            Verdict::kOk);

  const Check wider =
      check_of(examine(machine, 50'000, Role::kLoad), "net.ipv4.ip_local_port_range");
  EXPECT_EQ(wider.verdict, Verdict::kLow);
  EXPECT_EQ(wider.settings,
            (std::vector<Setting>{{"net.ipv4.ip_local_port_range", {10'240, 65'535}}}));
  EXPECT_EQ(wider.mend.find("ip address add"), std::string::npos);

  const Check more =
      check_of(examine(machine, 600'000, Role::kLoad), "net.ipv4.ip_local_port_range");
  EXPECT_NE(more.mend.find("10 more"), std::string::npos) << more.mend;
}

TEST(Ports, OnLoopbackComeFromMillionsOfAddresses) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 1'000'000, Role::kBoth), "net.ipv4.ip_local_port_range"),
            Verdict::kOk);
}

TEST(TcpMemory, ForAMessageToEverybodyIsAdviceAndForKeepaliveAMust) {
  FakeMachine machine;
  machine.set_sysctl("net.ipv4.tcp_mem", "30000 40000 60000");
  const Check check = check_of(examine(machine, 600'000), "net.ipv4.tcp_mem");
  EXPECT_EQ(check.verdict, Verdict::kAdvice);
  ASSERT_EQ(check.settings.size(), 1u);
  EXPECT_GE(check.settings[0].values[2], 600'000u);
  machine.set_sysctl("net.ipv4.tcp_mem", "10000 20000 30000");
  EXPECT_EQ(verdict(examine(machine, 600'000), "net.ipv4.tcp_mem"), Verdict::kLow);
}

TEST(TcpMemory, CountsAPageForEachIdleSocketBeforeLinux6) {
  FakeMachine machine;
  EXPECT_NE(verdict(examine(machine, 600'000), "net.ipv4.tcp_mem"), Verdict::kLow);
  machine.set("/proc/sys/kernel/osrelease", "5.10.0-28-amd64\n");
  EXPECT_EQ(verdict(examine(machine, 600'000), "net.ipv4.tcp_mem"), Verdict::kLow);
}

TEST(LockedMemory, IsForTheSecretsOfTls) {
  FakeMachine machine;
  const auto with_tls = [&](std::uint64_t connections) {
    const Demand demand{connections, Role::kServer, 0, true};
    return check_of(doctor::examine(read_facts(machine.files()), demand), "locked memory");
  };
  EXPECT_EQ(with_tls(65'000).verdict, Verdict::kOk) << "8 MiB";
  const Check small = with_tls(100'000);
  EXPECT_EQ(small.verdict, Verdict::kAdvice);
  EXPECT_EQ(small.mend, "ulimit -l 12500, or LimitMEMLOCK= of the unit");
  EXPECT_EQ(verdict(examine(machine, 100'000), "locked memory"), Verdict::kNotNeeded);
}

TEST(Conntrack, ThatIsNotLoadedHasNoPart) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 600'000), "connection tracking"), Verdict::kNotNeeded);
}

TEST(Conntrack, ThatTracksNothingIsNotNeededHoweverSmall) {
  FakeMachine machine;
  machine.set_sysctl("net.netfilter.nf_conntrack_max", "65536");
  machine.set_sysctl("net.netfilter.nf_conntrack_count", "0");
  machine.set_sysctl("net.netfilter.nf_conntrack_buckets", "16384");
  Facts facts = read_facts(machine.files());
  facts.probes.conntrack_sees_connections = false;
  const Examination examination = doctor::examine(facts, {600'000, Role::kServer, 0});
  EXPECT_EQ(verdict(examination, "net.netfilter.nf_conntrack_max"), Verdict::kNotNeeded);
  EXPECT_TRUE(examination.fits());
}

TEST(Conntrack, ThatTracksAndIsSmallIsLowWithBothRemedies) {
  FakeMachine machine;
  machine.set_sysctl("net.netfilter.nf_conntrack_max", "65536");
  machine.set_sysctl("net.netfilter.nf_conntrack_count", "120");
  machine.set_sysctl("net.netfilter.nf_conntrack_buckets", "16384");
  Facts facts = read_facts(machine.files());
  facts.probes.conntrack_sees_connections = true;
  const Examination examination = doctor::examine(facts, {600'000, Role::kServer, 0});
  const Check& check = check_of(examination, "net.netfilter.nf_conntrack_max");
  EXPECT_EQ(check.verdict, Verdict::kLow);
  EXPECT_NE(check.mend.find("sysctl -w net.netfilter.nf_conntrack_max="), std::string::npos);
  EXPECT_NE(check.mend.find("--notrack"), std::string::npos);
  EXPECT_EQ(verdict(examination, "net.netfilter.nf_conntrack_buckets"), Verdict::kAdvice);
}

TEST(Conntrack, CannotBeToldFromAnIdleMachineWithoutATrial) {
  FakeMachine machine;
  machine.set_sysctl("net.netfilter.nf_conntrack_max", "65536");
  machine.set_sysctl("net.netfilter.nf_conntrack_count", "0");
  const Examination examination = examine(machine, 600'000);
  EXPECT_EQ(verdict(examination, "connection tracking"), Verdict::kUnknown);
  EXPECT_TRUE(check_of(examination, "net.netfilter.nf_conntrack_max").settings.empty());
}

TEST(Handshakes, OfAServerWantItsBacklogAndOfALoadMachineNothing) {
  FakeMachine machine;
  machine.set_sysctl("net.core.somaxconn", "128");
  machine.set_sysctl("net.ipv4.tcp_syncookies", "0");
  const Examination server = examine(machine, 1000);
  EXPECT_EQ(verdict(server, "net.core.somaxconn"), Verdict::kAdvice);
  EXPECT_EQ(verdict(server, "net.ipv4.tcp_syncookies"), Verdict::kAdvice);
  EXPECT_EQ(verdict(examine(machine, 1000, Role::kLoad), "net.core.somaxconn"),
            Verdict::kNotNeeded);
}

TEST(PacketBacklog, IsRaisedOnlyWherePacketsWereDropped) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 600'000), "net.core.netdev_max_backlog"), Verdict::kOk);
  machine.set("/proc/net/softnet_stat", "00001378 00000010 00000000\n");
  EXPECT_EQ(verdict(examine(machine, 600'000), "net.core.netdev_max_backlog"), Verdict::kAdvice);
}

TEST(IoUring, ThatIsForbiddenCostsCpuButNoConnection) {
  FakeMachine machine;
  Facts facts = read_facts(machine.files());
  EXPECT_EQ(verdict(doctor::examine(facts, {}), "io_uring"), Verdict::kUnknown);
  facts.probes.io_uring_error = 0;
  EXPECT_EQ(verdict(doctor::examine(facts, {}), "io_uring"), Verdict::kOk);
  facts.probes.io_uring_error = EPERM;
  const Examination examination = doctor::examine(facts, {});
  EXPECT_EQ(verdict(examination, "io_uring"), Verdict::kAdvice);
  EXPECT_NE(check_of(examination, "io_uring").mend.find("seccomp"), std::string::npos);
}

TEST(Cpus, AreLowWhenPingsAloneTakeMoreThanThereAre) {
  FakeMachine machine;
  EXPECT_EQ(verdict(examine(machine, 600'000), "CPUs"), Verdict::kOk);
  EXPECT_EQ(verdict(examine(machine, 3'000'000), "CPUs"), Verdict::kAdvice);
  EXPECT_EQ(verdict(examine(machine, 10'000'000), "CPUs"), Verdict::kLow);
}

TEST(Threads, AreBoundedByTheTightestOfAllLimits) {
  FakeMachine machine;
  machine.set("/proc/self/cgroup", "0::/\n");
  machine.set("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.set("/sys/fs/cgroup/pids.max", "40\n");
  machine.set("/sys/fs/cgroup/pids.current", "20\n");
  const Check check = check_of(examine(machine, 1000), "threads");
  EXPECT_EQ(check.verdict, Verdict::kLow);
  EXPECT_NE(check.why.find("pids.max"), std::string::npos);
}

TEST(WorkerCount, IsOneForEachCpuUntilDescriptorsWantMore) {
  EXPECT_EQ(workers_for(100'000, kOpenFilesMax, 2), 2u);
  EXPECT_EQ(workers_for(600'000, 20'000, 2), 32u);
  EXPECT_EQ(workers_for(600'000, 20'000, 64), 64u);
  EXPECT_EQ(workers_for(600'000, 256, 2), kWorkersMax + 1);
}

TEST(WorkerCount, AndLowestLimitAreTwoSidesOfOneReckoning) {
  for (const std::uint64_t connections : {1'000u, 100'000u, 600'000u}) {
    for (const std::uint64_t workers : {1u, 2u, 8u, 32u}) {
      const std::uint64_t limit = open_files_for(connections, workers);
      EXPECT_GE(connections_held(workers, limit), connections) << workers;
      EXPECT_LT(connections_held(workers, limit - 1), connections) << workers;
    }
  }
}

}  // namespace
}  // namespace holdfast::doctor
