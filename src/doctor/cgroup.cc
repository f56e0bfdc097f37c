#include "doctor/cgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace holdfast::doctor {
namespace {

// Version 1 says "no limit" with the largest multiple of a page below 2^63.
constexpr std::uint64_t kVersion1Unlimited = std::uint64_t{1} << 62;

// One line of /proc/self/cgroup: "4:memory:/group", or "0::/group" for version 2.
struct Membership {
  std::string_view controllers;
  std::string_view group;
};

std::vector<Membership> memberships(std::string_view text) {
  std::vector<Membership> found;
  for (const std::string_view line : lines(text)) {
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    found.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return found;
}

bool contains_item(std::string_view list, std::string_view item) {
  return fmt::format(",{},", list).find(fmt::format(",{},", item)) != std::string::npos;
}

// One hierarchy as mounted: `folder` shows the group `shown_root` and what is below it.
struct Mount {
  std::string folder;
  std::string shown_root;
};

// The mount of a version 1 controller, or of version 2 when `controller` is empty.
// proc_pid_mountinfo(5): the fields after " - " are type, source and options of the file system;
// the fourth and fifth before it are root and mount point.
std::optional<Mount> find_mount(std::string_view mountinfo, std::string_view controller) {
  for (const std::string_view line : lines(mountinfo)) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto before = words(line.substr(0, dash));
    const auto after = words(line.substr(dash + 3));
    if (before.size() < 5 || after.size() < 3) continue;
    const bool right = controller.empty()
                           ? after[0] == "cgroup2"
                           : after[0] == "cgroup" && contains_item(after[2], controller);
    if (right) return Mount{std::string(before[4]), std::string(before[3])};
  }
  return std::nullopt;
}

// The folders from a process's own group up to the top that is visible here.
std::vector<std::string> folders_upwards(const Mount& mount, std::string_view group) {
  std::string_view below = group;
  if (mount.shown_root != "/" && below.starts_with(mount.shown_root)) {
    below.remove_prefix(mount.shown_root.size());
  }
  std::vector<std::string> folders;
  while (!below.empty() && below != "/") {
    folders.push_back(mount.folder + std::string(below));
    below = below.substr(0, below.rfind('/'));
  }
  folders.push_back(mount.folder);
  return folders;
}

std::optional<std::uint64_t> first_number(const RootedFiles& files, const std::string& path) {
  const auto numbers = files.read_numbers(path);
  if (!numbers) return std::nullopt;
  return numbers->front();
}

bool is_limit(std::optional<std::uint64_t> number) {
  return number && *number < kVersion1Unlimited;
}

// The figure of one line of memory.stat, 0 when it is not there.
std::uint64_t statistic(const RootedFiles& files, const std::string& folder,
                        std::string_view name) {
  const std::string text = files.read(folder + "/memory.stat").value_or("");
  for (const std::string_view line : lines(text)) {
    const auto field = words(line);
    if (field.size() != 2 || field[0] != name) continue;
    const auto number = parse_numbers(field[1]);
    return number ? number->front() : 0;
  }
  return 0;
}

struct MemoryFiles {
  std::string_view limit;
  std::string_view used;
  std::string_view
      cold_cache;  // line of memory.stat: cached file pages that the kernel drops first
};

void take_memory(const RootedFiles& files, const std::string& folder, const MemoryFiles& names,
                 CgroupLimits& limits) {
  const auto limit = first_number(files, fmt::format("{}/{}", folder, names.limit));
  if (!is_limit(limit)) return;
  const auto charged = first_number(files, fmt::format("{}/{}", folder, names.used)).value_or(0);
  const auto used = charged - std::min(charged, statistic(files, folder, names.cold_cache));
  // The tightest is the one with the least left, not the one with the smallest figure.
  const auto left = [](std::uint64_t most, std::uint64_t taken) {
    return most - std::min(most, taken);
  };
  if (limits.memory_bytes_max &&
      left(*limits.memory_bytes_max, limits.memory_bytes_used) <= left(*limit, used)) {
    return;
  }
  limits.memory_bytes_max = limit;
  limits.memory_bytes_used = used;
}

void take_tasks(const RootedFiles& files, const std::string& folder, CgroupLimits& limits) {
  const auto limit = first_number(files, folder + "/pids.max");
  if (!is_limit(limit) || (limits.tasks_max && *limits.tasks_max <= *limit)) return;
  limits.tasks_max = limit;
  limits.tasks_used = first_number(files, folder + "/pids.current").value_or(0);
}

void take_cpus(std::uint64_t quota, std::uint64_t period, CgroupLimits& limits) {
  if (quota == kUnlimited || period == 0) return;
  const double cpus = static_cast<double>(quota) / static_cast<double>(period);
  if (!limits.cpus_max || cpus < *limits.cpus_max) limits.cpus_max = cpus;
}

void take_version2(const RootedFiles& files, const std::string& folder, CgroupLimits& limits) {
  take_memory(files, folder, {"memory.max", "memory.current", "inactive_file"}, limits);
  // Above memory.high the group is throttled and reclaimed from: a limit for a server that must not
  // stall.
  take_memory(files, folder, {"memory.high", "memory.current", "inactive_file"}, limits);
  take_tasks(files, folder, limits);
  const auto cpu = files.read_numbers(folder + "/cpu.max");
  if (cpu && cpu->size() == 2) take_cpus((*cpu)[0], (*cpu)[1], limits);
}

void take_version1(const RootedFiles& files, const std::string& folder, std::string_view controller,
                   CgroupLimits& limits) {
  if (controller == "memory") {
    take_memory(files, folder,
                {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}, limits);
  } else if (controller == "pids") {
    take_tasks(files, folder, limits);
  } else {
    // A quota of -1 is no limit, and no whole number to read_numbers().
    const auto quota = first_number(files, folder + "/cpu.cfs_quota_us");
    const auto period = first_number(files, folder + "/cpu.cfs_period_us");
    if (quota && period) take_cpus(*quota, *period, limits);
  }
}

}  // namespace

CgroupLimits read_cgroup_limits(const RootedFiles& files) {
  CgroupLimits limits;
  const std::string own = files.read("/proc/self/cgroup").value_or("");
  const std::string mountinfo = files.read("/proc/self/mountinfo").value_or("");
  for (const Membership& membership : memberships(own)) {
    if (membership.controllers.empty()) {
      const auto mount = find_mount(mountinfo, "");
      if (!mount) continue;
      if (limits.group.empty()) limits.group = membership.group;
      for (const auto& folder : folders_upwards(*mount, membership.group)) {
        take_version2(files, folder, limits);
      }
      continue;
    }
    for (const std::string_view controller : {"memory", "pids", "cpu"}) {
      if (!contains_item(membership.controllers, controller)) continue;
      const auto mount = find_mount(mountinfo, controller);
      if (!mount) continue;
      if (controller == "memory") limits.group = membership.group;
      for (const auto& folder : folders_upwards(*mount, membership.group)) {
        take_version1(files, folder, controller, limits);
      }
    }
  }
  return limits;
}

}  // namespace holdfast::doctor
