#pragma once

// What a machine says about itself, read once and without judging: everything that needs.h weighs.
// Values keep the kernel's own units, bytes where it writes kB. A fact that is not there is empty
// or absent, never guessed.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/cgroup.h"
#include "doctor/nofile_settings.h"
#include "doctor/rooted_files.h"

namespace holdfast::doctor {

// What only a try tells; the files of a machine do not say it. See probes.h.
struct Probes {
  // Whether new loopback connections show up in nf_conntrack_count.
  std::optional<bool> conntrack_sees_connections;
  // What stands against a descriptor table of a thread's own; "" when nothing does.
  std::optional<std::string> private_tables_error;
  // errno of creating an io_uring, 0 when it may be created.
  std::optional<int> io_uring_error;
};

struct Pressure {
  double some_percent = 0;  // of the last minute, in which some task waited for this
  double full_percent = 0;  // in which all tasks waited
};

// One row of /proc/self/limits.
struct Limit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct Facts {
  std::string kernel;                // "6.1.0-18-amd64"
  std::uint32_t kernel_version = 0;  // major * 1000 + minor: 6001; 0 when it cannot be told
  std::uint32_t cpus = 1;            // that this process may run on

  std::string user;                // name, or number where it has none
  std::uint64_t capabilities = 0;  // effective, one bit each (linux/capability.h)
  bool may(unsigned capability) const { return (capabilities >> capability & 1) != 0; }
  std::map<std::string, Limit, std::less<>> limits;  // "Max open files", as in /proc/self/limits
  std::optional<Limit> limit(std::string_view name) const;

  // Name as in sysctl(8): "net.core.somaxconn". Only those of kSysctls, only those the kernel has,
  // only those of numbers.
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> sysctls;
  std::optional<std::uint64_t> sysctl(std::string_view name, std::size_t field = 0) const;

  std::map<std::string, std::uint64_t, std::less<>> memory;  // /proc/meminfo, bytes
  std::map<std::string, std::uint64_t, std::less<>>
      sockets;  // /proc/net/sockstat: "TCP.inuse", "TCP.mem"
  std::map<std::string, std::uint64_t, std::less<>>
      tcp_events;                                // TcpExt of /proc/net/netstat, since boot
  std::uint64_t packets_dropped_at_backlog = 0;  // /proc/net/softnet_stat, since boot
  std::map<std::string, Pressure, std::less<>>
      pressure;            // "cpu", "memory", "io"; empty without PSI
  std::string huge_pages;  // "always", "madvise" or "never"; "" when unknown

  std::uint32_t source_addresses = 0;  // IPv4 addresses of this machine outside of 127.0.0.0/8
  CgroupLimits cgroup;
  LoginSetting user_login;
  LoginSetting root_login;
  UnitSetting service;  // holdfast.service
  bool systemd_runs = false;
  Probes probes;
};

// Capabilities that matter here, as linux/capability.h numbers them.
inline constexpr unsigned kCapNetAdmin = 12;
inline constexpr unsigned kCapSysAdmin = 21;
inline constexpr unsigned kCapSysResource = 24;

inline constexpr std::string_view kServiceUnit = "holdfast.service";

// The path below /proc/sys of a sysctl's name.
std::string sysctl_path(std::string_view name);

// Reads all of it but the probes.
Facts read_facts(const RootedFiles& files);

// /proc/meminfo in bytes.
std::map<std::string, std::uint64_t, std::less<>> read_memory(const RootedFiles& files);

// Pieces of read_facts() with a grammar of their own.
std::uint32_t count_cpu_list(std::string_view list);              // "0-3,8" is 5
std::uint32_t count_source_addresses(std::string_view fib_trie);  // /proc/net/fib_trie

}  // namespace holdfast::doctor
