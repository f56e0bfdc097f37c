#include "doctor/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace holdfast::doctor {
namespace {

constexpr std::array kSysctls = {"fs.nr_open",
                                 "fs.file-max",
                                 "fs.file-nr",
                                 "fs.epoll.max_user_watches",
                                 "net.core.somaxconn",
                                 "net.core.netdev_max_backlog",
                                 "net.ipv4.tcp_max_syn_backlog",
                                 "net.ipv4.tcp_syncookies",
                                 "net.ipv4.ip_local_port_range",
                                 "net.ipv4.tcp_mem",
                                 "net.ipv4.tcp_rmem",
                                 "net.ipv4.tcp_wmem",
                                 "net.ipv4.tcp_tw_reuse",
                                 "net.ipv4.tcp_max_tw_buckets",
                                 "net.ipv4.tcp_max_orphans",
                                 "net.ipv4.tcp_ehash_entries",
                                 "net.netfilter.nf_conntrack_max",
                                 "net.netfilter.nf_conntrack_count",
                                 "net.netfilter.nf_conntrack_buckets",
                                 "vm.overcommit_memory",
                                 "vm.max_map_count",
                                 "vm.swappiness",
                                 "kernel.threads-max",
                                 "kernel.pid_max",
                                 "kernel.io_uring_disabled"};

std::optional<std::uint64_t> number_in(std::string_view text, int base = 10) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

// The rest of the line that begins with `name`, without blanks around it.
std::string_view line_after(std::string_view text, std::string_view name) {
  for (const std::string_view line : lines(text)) {
    if (line.starts_with(name)) return trimmed(line.substr(name.size()));
  }
  return {};
}

void read_kernel(const RootedFiles& files, Facts& facts) {
  facts.kernel = trimmed(files.read("/proc/sys/kernel/osrelease").value_or(""));
  const std::string_view release = facts.kernel;
  const std::size_t dot = std::min(release.find('.'), release.size());
  const auto major = number_in(release.substr(0, dot));
  const auto minor = number_in(release.substr(std::min(dot + 1, release.size())));
  if (major && minor) facts.kernel_version = static_cast<std::uint32_t>(*major * 1000 + *minor);
}

std::string user_name(const RootedFiles& files, std::string_view uid) {
  const std::string passwd = files.read("/etc/passwd").value_or("");
  for (const std::string_view line : lines(passwd)) {
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    if (line.substr(second + 1, line.find(':', second + 1) - second - 1) == uid) {
      return std::string(line.substr(0, first));
    }
  }
  return std::string(uid);
}

void read_status(const RootedFiles& files, Facts& facts) {
  const std::string status = files.read("/proc/self/status").value_or("");
  facts.cpus = std::max(1U, count_cpu_list(line_after(status, "Cpus_allowed_list:")));
  facts.capabilities = number_in(line_after(status, "CapEff:"), 16).value_or(0);
  const auto uid = words(line_after(status, "Uid:"));
  if (!uid.empty()) facts.user = user_name(files, uid.size() > 1 ? uid[1] : uid[0]);
}

// A name of several words, then soft limit, hard limit and often a unit, in columns.
void read_limits(const RootedFiles& files, Facts& facts) {
  constexpr std::size_t kNameWidth = 26;
  const std::string text = files.read("/proc/self/limits").value_or("");
  for (const std::string_view line : lines(text)) {
    if (line.size() <= kNameWidth) continue;
    const auto field = words(line.substr(kNameWidth));
    if (field.size() < 2) continue;
    const auto soft = parse_numbers(field[0]);
    const auto hard = parse_numbers(field[1]);
    if (!soft || !hard) continue;
    facts.limits[std::string(trimmed(line.substr(0, kNameWidth)))] = {soft->front(), hard->front()};
  }
}

// "TCP: inuse 1 orphan 0 tw 2 alloc 1 mem 346"
void read_sockets(const RootedFiles& files, Facts& facts) {
  const std::string text = files.read("/proc/net/sockstat").value_or("");
  for (const std::string_view line : lines(text)) {
    const auto field = words(line);
    if (field.empty()) continue;
    const std::string_view protocol = field[0].substr(0, field[0].find(':'));
    for (std::size_t i = 1; i + 1 < field.size(); i += 2) {
      if (const auto number = number_in(field[i + 1])) {
        facts.sockets[fmt::format("{}.{}", protocol, field[i])] = *number;
      }
    }
  }
}

// Pairs of lines that begin alike: names, then figures.
void read_tcp_events(const RootedFiles& files, Facts& facts) {
  const std::string text = files.read("/proc/net/netstat").value_or("");
  const auto line = lines(text);
  for (std::size_t i = 0; i + 1 < line.size(); i += 2) {
    if (!line[i].starts_with("TcpExt:")) continue;
    const auto name = words(line[i]);
    const auto figure = words(line[i + 1]);
    for (std::size_t field = 1; field < std::min(name.size(), figure.size()); ++field) {
      facts.tcp_events[std::string(name[field])] = number_in(figure[field]).value_or(0);
    }
  }
}

// A line for each CPU, hexadecimal; the second field is "dropped because the queue was full".
void read_backlog_drops(const RootedFiles& files, Facts& facts) {
  const std::string text = files.read("/proc/net/softnet_stat").value_or("");
  for (const std::string_view line : lines(text)) {
    const auto field = words(line);
    if (field.size() > 1) facts.packets_dropped_at_backlog += number_in(field[1], 16).value_or(0);
  }
}

// "some avg10=0.00 avg60=2.45 avg300=0.87 total=8718252"
double average_of_a_minute(std::string_view line) {
  const std::size_t at = line.find("avg60=");
  if (at == std::string_view::npos) return 0;
  const std::string_view text = line.substr(at + 6);
  double percent = 0;
  std::from_chars(text.data(), text.data() + text.size(), percent);
  return percent;
}

void read_pressure(const RootedFiles& files, Facts& facts) {
  for (const char* resource : {"cpu", "memory", "io"}) {
    const auto text = files.read(fmt::format("/proc/pressure/{}", resource));
    if (!text) continue;
    facts.pressure[resource] = {average_of_a_minute(line_after(*text, "some")),
                                average_of_a_minute(line_after(*text, "full"))};
  }
}

// "always [madvise] never"
std::string chosen_word(std::string_view text) {
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return "";
  return std::string(text.substr(open + 1, close - open - 1));
}

template <class Map>
auto find(const Map& map, std::string_view name) -> std::optional<typename Map::mapped_type> {
  const auto found = map.find(name);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

}  // namespace

std::string sysctl_path(std::string_view name) {
  std::string path = fmt::format("/proc/sys/{}", name);
  std::replace(path.begin(), path.end(), '.', '/');
  return path;
}

std::optional<Limit> Facts::limit(std::string_view name) const { return find(limits, name); }

std::optional<std::uint64_t> Facts::sysctl(std::string_view name, std::size_t field) const {
  const auto numbers = find(sysctls, name);
  if (!numbers || field >= numbers->size()) return std::nullopt;
  return (*numbers)[field];
}

std::uint32_t count_cpu_list(std::string_view list) {
  std::uint64_t count = 0;
  while (!list.empty()) {
    const std::string_view range = list.substr(0, list.find(','));
    list.remove_prefix(std::min(range.size() + 1, list.size()));
    const auto first = number_in(range);
    const std::size_t dash = range.find('-');
    const auto last = dash == std::string_view::npos ? first : number_in(range.substr(dash + 1));
    if (first && last && *last >= *first) count += *last - *first + 1;
  }
  return static_cast<std::uint32_t>(count);
}

// A leaf "|-- 192.0.2.2" followed by "/32 host LOCAL"; each address stands in the main and in the
// local table.
std::uint32_t count_source_addresses(std::string_view fib_trie) {
  std::set<std::string_view> addresses;
  std::string_view leaf;
  for (const std::string_view line : lines(fib_trie)) {
    const std::size_t at = line.find("|-- ");
    if (at != std::string_view::npos) {
      leaf = trimmed(line.substr(at + 4));
    } else if (trimmed(line) == "/32 host LOCAL" && !leaf.starts_with("127.")) {
      addresses.insert(leaf);
    }
  }
  return static_cast<std::uint32_t>(addresses.size());
}

std::map<std::string, std::uint64_t, std::less<>> read_memory(const RootedFiles& files) {
  std::map<std::string, std::uint64_t, std::less<>> memory;
  const std::string text = files.read("/proc/meminfo").value_or("");
  for (const std::string_view line : lines(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view rest = trimmed(line.substr(colon + 1));
    const auto number = number_in(rest);
    if (!number) continue;
    memory[std::string(line.substr(0, colon))] = rest.ends_with("kB") ? *number * 1024 : *number;
  }
  return memory;
}

Facts read_facts(const RootedFiles& files) {
  Facts facts;
  read_kernel(files, facts);
  read_status(files, facts);
  read_limits(files, facts);
  for (const char* name : kSysctls) {
    if (auto numbers = files.read_numbers(sysctl_path(name)))
      facts.sysctls[name] = std::move(*numbers);
  }
  facts.memory = read_memory(files);
  read_sockets(files, facts);
  read_tcp_events(files, facts);
  read_backlog_drops(files, facts);
  read_pressure(files, facts);
  facts.huge_pages =
      chosen_word(files.read("/sys/kernel/mm/transparent_hugepage/enabled").value_or(""));
  facts.source_addresses = count_source_addresses(files.read("/proc/net/fib_trie").value_or(""));
  facts.cgroup = read_cgroup_limits(files);
  facts.user_login = read_login_setting(files, facts.user);
  facts.root_login = read_login_setting(files, "root");
  facts.service = read_unit_setting(files, kServiceUnit);
  facts.systemd_runs = files.exists("/run/systemd/system");
  return facts;
}

}  // namespace holdfast::doctor
