#include "doctor/facts.h"

#include <gtest/gtest.h>

#include "doctor/fake_machine.h"

namespace holdfast::doctor {
namespace {

TEST(Facts, AreReadOffTheFilesOfAMachine) {
  FakeMachine machine;
  const Facts facts = read_facts(machine.files());
  EXPECT_EQ(facts.kernel, "6.1.0-18-amd64");
  EXPECT_EQ(facts.kernel_version, 6001u);
  EXPECT_EQ(facts.cpus, 2u);
  EXPECT_EQ(facts.user, "alice");
  EXPECT_EQ(facts.limit("Max open files")->soft, 1024u);
  EXPECT_EQ(facts.limit("Max open files")->hard, 1048576u);
  EXPECT_EQ(facts.sysctl("net.ipv4.tcp_mem", 2), 376884u);
  EXPECT_EQ(facts.memory.at("MemTotal"), 8589934592u);
  EXPECT_EQ(facts.sockets.at("TCP.inuse"), 3u);
  EXPECT_TRUE(facts.systemd_runs);
  EXPECT_FALSE(facts.may(kCapSysResource));
}

TEST(Facts, LeaveOutWhatAMachineDoesNotSay) {
  FakeMachine machine;
  machine.remove("/proc/sys/net/core/somaxconn");
  machine.set_sysctl("net.ipv4.tcp_mem", "nonsense");
  const Facts facts = read_facts(machine.files());
  EXPECT_FALSE(facts.sysctl("net.core.somaxconn"));
  EXPECT_FALSE(facts.sysctl("net.ipv4.tcp_mem"));
  EXPECT_FALSE(facts.sysctl("net.netfilter.nf_conntrack_max"));
  EXPECT_TRUE(facts.pressure.empty());
}

TEST(Facts, TellCapabilitiesBitByBit) {
  FakeMachine machine;
  // All but CAP_SYS_RESOURCE, as many containers give it to root.
  machine.set("/proc/self/status",
              "Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\nCpus_allowed_list:\t0\n");
  const Facts facts = read_facts(machine.files());
  EXPECT_EQ(facts.user, "root");
  EXPECT_FALSE(facts.may(kCapSysResource));
  EXPECT_TRUE(facts.may(kCapSysAdmin));
  EXPECT_TRUE(facts.may(kCapNetAdmin));
}

TEST(Facts, CollectTheCountersOfQueuesThatOverflowed) {
  FakeMachine machine;
  machine.set("/proc/net/netstat",
              "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 7 42\nIpExt: InOctets\nIpExt: 5\n");
  machine.set("/proc/net/softnet_stat", "0000000e 00000002 00000000\n00001378 00000010 00000000\n");
  const Facts facts = read_facts(machine.files());
  EXPECT_EQ(facts.tcp_events.at("ListenOverflows"), 42u);
  EXPECT_EQ(facts.packets_dropped_at_backlog, 18u);
}

TEST(Facts, ReadPressureOfTheLastMinute) {
  FakeMachine machine;
  machine.set("/proc/pressure/memory",
              "some avg10=7.95 avg60=2.45 avg300=0.87 total=8718252\nfull avg10=0.00 avg60=1.50 "
              "avg300=0.00 total=0\n");
  const Facts facts = read_facts(machine.files());
  EXPECT_DOUBLE_EQ(facts.pressure.at("memory").some_percent, 2.45);
  EXPECT_DOUBLE_EQ(facts.pressure.at("memory").full_percent, 1.5);
}

TEST(CpuList, CountsRangesAndSingles) {
  EXPECT_EQ(count_cpu_list("0"), 1u);
  EXPECT_EQ(count_cpu_list("0-3,8"), 5u);
  EXPECT_EQ(count_cpu_list("0-1,4-7"), 6u);
  EXPECT_EQ(count_cpu_list(""), 0u);
  EXPECT_EQ(count_cpu_list("x,3-1"), 0u);
}

TEST(SourceAddresses, AreCountedOnceAndWithoutLoopback) {
  const char* trie =
      "Main:\n  |-- 192.0.2.2\n     /32 host LOCAL\n  |-- 192.0.2.0\n     /24 link UNICAST\n  |-- "
      "127.0.0.1\n     /32 host LOCAL\n"
      "Local:\n  |-- 192.0.2.2\n     /32 host LOCAL\n  |-- 192.0.2.3\n     /32 host LOCAL\n  |-- "
      "192.0.2.255\n     /32 link BROADCAST\n";
  EXPECT_EQ(count_source_addresses(trie), 2u);
}

}  // namespace
}  // namespace holdfast::doctor
