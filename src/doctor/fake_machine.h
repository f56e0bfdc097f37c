#pragma once

// For tests: a made-up machine, its files in a folder of its own that goes away with it. As new it
// is like a small server of today: Debian 12, Linux 6.1, 2 CPUs, 8 GiB, the kernel's own settings,
// nothing tuned.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/check.h"
#include "doctor/facts.h"

namespace holdfast::doctor {

class FakeMachine {
 public:
  FakeMachine() {
    std::string name = std::filesystem::temp_directory_path() / "holdfast-doctor.XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    set("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    set("/proc/self/status",
        "Name:\tholdfast\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nCpus_allowed_"
        "list:\t0-1\n");
    set_open_files("1024", "1048576");
    set("/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n");
    set("/proc/meminfo",
        "MemTotal: 8388608 kB\nMemAvailable: 7340032 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nSlab: "
        "65536 kB\n");
    set("/proc/net/sockstat", "sockets: used 40\nTCP: inuse 3 orphan 0 tw 0 alloc 4 mem 1\n");
    set("/proc/net/fib_trie",
        "Main:\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host "
        "LOCAL\n");
    set_sysctl("fs.nr_open", "1048576");
    set_sysctl("fs.file-max", "9223372036854775807");
    set_sysctl("fs.file-nr", "1000\t0\t9223372036854775807");
    set_sysctl("fs.epoll.max_user_watches", "1794345");
    set_sysctl("net.core.somaxconn", "4096");
    set_sysctl("net.core.netdev_max_backlog", "1000");
    set_sysctl("net.ipv4.tcp_max_syn_backlog", "4096");
    set_sysctl("net.ipv4.tcp_syncookies", "1");
    set_sysctl("net.ipv4.ip_local_port_range", "32768\t60999");
    set_sysctl("net.ipv4.tcp_mem", "188442\t251258\t376884");
    set_sysctl("net.ipv4.tcp_rmem", "4096\t131072\t6291456");
    set_sysctl("net.ipv4.tcp_wmem", "4096\t16384\t4194304");
    set_sysctl("net.ipv4.tcp_tw_reuse", "2");
    set_sysctl("net.ipv4.tcp_max_tw_buckets", "262144");
    set_sysctl("net.ipv4.tcp_max_orphans", "65536");
    set_sysctl("net.ipv4.tcp_ehash_entries", "524288");
    set_sysctl("vm.overcommit_memory", "0");
    set_sysctl("vm.max_map_count", "65530");
    set_sysctl("kernel.threads-max", "63000");
    set_sysctl("kernel.pid_max", "4194304");
    make_folder("/etc/sysctl.d");
    make_folder("/etc/security/limits.d");
    make_folder("/etc/systemd/system");
    make_folder("/run/systemd/system");
    make_folder("/var/lib");
  }
  ~FakeMachine() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  RootedFiles files() const { return RootedFiles(root_); }
  std::filesystem::path path(std::string_view below) const { return files().real_path(below); }

  void set(std::string_view file, std::string_view text) {
    std::filesystem::create_directories(path(file).parent_path());
    std::ofstream(path(file), std::ios::trunc) << text;
  }
  void set_sysctl(std::string_view name, std::string_view value) {
    set(sysctl_path(name), std::string(value) + "\n");
  }
  void set_open_files(std::string_view soft, std::string_view hard) {
    std::string limits =
        "Limit                     Soft Limit           Hard Limit           Units     \n";
    limits += "Max processes             31000                31000                processes \n";
    limits += "Max open files            " + std::string(soft) + "  " + std::string(hard) +
              "  files     \n";
    limits += "Max locked memory         8388608              8388608              bytes     \n";
    set("/proc/self/limits", limits);
  }
  void make_folder(std::string_view folder) { std::filesystem::create_directories(path(folder)); }
  void remove(std::string_view file) { std::filesystem::remove(path(file)); }
  std::string text(std::string_view file) const { return files().read(file).value_or("(none)"); }

 private:
  std::filesystem::path root_;
};

}  // namespace holdfast::doctor
