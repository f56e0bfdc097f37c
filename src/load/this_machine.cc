#include "load/this_machine.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace holdfast::load {
namespace {

class Socket {
 public:
  Socket(int family, int type) : descriptor_(::socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Duration from_timeval(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

Duration read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name"))
      return line.substr(std::min(line.find(':') + 2, line.size()));
  }
  return {};
}

// The address that the kernel would use towards `target`; its route decides. Nothing is sent.
net::Address chosen_source(const net::Address& target) {
  const Socket probe(target.family(), SOCK_DGRAM);
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (probe.get() < 0 || ::connect(probe.get(), target.get(), target.length()) != 0 ||
      getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return {};
  }
  net::Address result = net::Address::from(reinterpret_cast<const sockaddr*>(&address), length);
  result.set_port(0);
  return result;
}

net::Address address_in(const ifaddrs& entry) {
  const socklen_t length =
      entry.ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  return net::Address::from(entry.ifa_addr, length);
}

}  // namespace

MachineFacts machine_facts() {
  MachineFacts facts;
  utsname system{};
  if (uname(&system) == 0) {
    facts.host = system.nodename;
    facts.kernel = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  }
  facts.cpu = cpu_name();
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    facts.cpus = static_cast<std::uint32_t>(CPU_COUNT(&allowed));
  facts.memory_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return facts;
}

PortRange local_port_range() {
  PortRange range;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> range.first >> range.last;
  return range;
}

std::vector<net::Address> addresses_towards(const net::Address& target) {
  const net::Address chosen = chosen_source(target);
  if (chosen.family() == AF_UNSPEC) return {};
  std::vector<net::Address> result{chosen};
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return result;
  std::string interface;
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == target.family() &&
        address_in(*entry).host() == chosen.host()) {
      interface = entry->ifa_name;
    }
  }
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != target.family() ||
        interface != entry->ifa_name)
      continue;
    // A link-local address only reaches neighbours, and needs its link named.
    if (target.family() == AF_INET6 &&
        IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr)) {
      continue;
    }
    if (address_in(*entry).host() != chosen.host()) result.push_back(address_in(*entry));
  }
  freeifaddrs(all);
  return result;
}

Result<void> can_bind(const net::Address& address) {
  const Socket probe(address.family(), SOCK_STREAM);
  if (probe.get() >= 0 && ::bind(probe.get(), address.get(), address.length()) == 0) return {};
  const int error = errno;
  return failure(fmt::format("--sources: this machine cannot connect from {} ({}); add it with: ip "
                             "addr add {}/32 dev lo, or a "
                             "whole block with: ip route add local CIDR dev lo",
                             address.host(), strerrordesc_np(error), address.host()),
                 error);
}

ProcessUse process_use() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return {from_timeval(use.ru_utime), from_timeval(use.ru_stime)};
}

std::uint64_t resident_bytes() {
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

ThreadUse thread_use() {
  ThreadUse use;
  use.on_cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
  // "time on a CPU, time waiting for one, turns", in ns (Documentation/scheduler/sched-stats.rst).
  std::int64_t on_cpu = 0;
  std::int64_t waiting = 0;
  std::ifstream("/proc/thread-self/schedstat") >> on_cpu >> waiting;
  use.waiting = Duration(waiting);
  return use;
}

Duration wall_clock() { return read_clock(CLOCK_REALTIME); }

}  // namespace holdfast::load
