// From checks to what is to be written, and what is to be left alone.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "doctor/checks.h"
#include "doctor/fixes.h"

namespace holdfast::doctor {
namespace {

using SettingsByName = std::map<std::string, std::vector<std::uint64_t>>;
using LimitsByUser = std::map<std::string, std::uint64_t>;

constexpr std::string_view kWrittenBy =
    "# Written by holdfast doctor --fix; holdfast doctor --undo removes it.\n";

// The wider of two values of one sysctl: the larger figure in each place, except where a smaller
// one gives more.
std::vector<std::uint64_t> wider(std::string_view name, const std::vector<std::uint64_t>& one,
                                 const std::vector<std::uint64_t>& other) {
  if (one.size() != other.size()) return other;
  std::vector<std::uint64_t> result;
  for (std::size_t i = 0; i < one.size(); ++i) result.push_back(std::max(one[i], other[i]));
  if (name == "net.ipv4.ip_local_port_range") result[0] = std::min(one[0], other[0]);
  if (name == "net.ipv4.tcp_tw_reuse" && (one[0] == 1 || other[0] == 1))
    result[0] = 1;  // 2 is loopback only
  return result;
}

// The settings of our own earlier drop-in: "name = 1 2 3", with a "-" before names whose absence is
// no error.
SettingsByName settings_in(std::string_view text) {
  SettingsByName settings;
  for (std::string_view line : lines(text)) {
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || equals == std::string_view::npos) continue;
    std::string_view name = trimmed(line.substr(0, equals));
    if (name.starts_with('-')) name.remove_prefix(1);
    if (auto values = parse_numbers(line.substr(equals + 1)))
      settings[std::string(name)] = std::move(*values);
  }
  return settings;
}

std::string sysctl_text(const SettingsByName& settings) {
  std::string text{kWrittenBy};
  for (const auto& [name, values] : settings) {
    // The module may be loaded later than these are applied, or never.
    const bool of_a_module = name.starts_with("net.netfilter.");
    text += fmt::format("{}{} = {}\n", of_a_module ? "-" : "", name, numbers_text(values));
  }
  return text;
}

LimitsByUser limits_in(std::string_view text) {
  LimitsByUser limits;
  for (const std::string_view line : lines(text)) {
    const auto field = words(line);
    if (field.size() != 4 || field[0].starts_with('#') || field[2] != "nofile") continue;
    if (const auto number = parse_numbers(field[3]))
      limits[std::string(field[0])] = number->front();
  }
  return limits;
}

// The hard limit only: above a soft limit of 1,024 programs that use select() break, and Holdfast
// raises its own.
std::string limits_text(const LimitsByUser& limits) {
  std::string text{kWrittenBy};
  for (const auto& [user, limit] : limits) text += fmt::format("{} hard nofile {}\n", user, limit);
  return text;
}

void add_drop_in(Fix& fix, const RootedFiles& files, std::string_view path, std::string text) {
  if (files.read(path) == text) return;
  fix.drop_ins.push_back({std::string(path), std::move(text)});
}

void plan_sysctls(const Examination& examination, const RootedFiles& files, Fix& fix) {
  SettingsByName settings = settings_in(files.read(kSysctlDropIn).value_or(""));
  bool any = false;
  for (const Check& check : examination.checks) {
    for (const Setting& setting : check.settings) {
      any = true;
      fix.runtime.push_back({sysctl_path(setting.name), setting.name, setting.values});
      const auto earlier = settings.find(setting.name);
      settings[setting.name] = earlier == settings.end()
                                   ? setting.values
                                   : wider(setting.name, earlier->second, setting.values);
    }
  }
  if (any) add_drop_in(fix, files, kSysctlDropIn, sysctl_text(settings));
}

void plan_open_files(const Examination& examination, const RootedFiles& files, Fix& fix) {
  LimitsByUser limits = limits_in(files.read(kLimitsDropIn).value_or(""));
  bool any_login = false;
  for (const Check& check : examination.checks) {
    if (check.open_files == 0) continue;
    if (check.open_files_user.empty()) {
      add_drop_in(fix, files, kServiceDropIn,
                  fmt::format("{}[Service]\nLimitNOFILE={}\n", kWrittenBy, check.open_files));
      continue;
    }
    any_login = true;
    std::uint64_t& limit = limits[check.open_files_user];
    limit = std::max(limit, check.open_files);
  }
  if (any_login) add_drop_in(fix, files, kLimitsDropIn, limits_text(limits));
}

void plan_conntrack(const Examination& examination, const Facts& facts, const RootedFiles& files,
                    Fix& fix) {
  std::uint64_t buckets = 0;
  for (const Check& check : examination.checks)
    buckets = std::max(buckets, check.conntrack_buckets);
  if (buckets == 0) return;
  add_drop_in(fix, files, kModuleDropIn,
              fmt::format("{}options nf_conntrack hashsize={}\n", kWrittenBy, buckets));
  if (buckets > facts.sysctl("net.netfilter.nf_conntrack_buckets").value_or(0)) {
    fix.runtime.push_back({std::string(kHashSizeFile), "nf_conntrack hashsize", {buckets}});
  }
}

bool wants_mending(const Check& check) {
  return check.verdict == Verdict::kLow || check.verdict == Verdict::kAdvice;
}

bool mended_here(const Check& check) {
  return !check.settings.empty() || check.open_files != 0 || check.conntrack_buckets != 0;
}

}  // namespace

Fix plan_fix(const Examination& examination, const Facts& facts, const RootedFiles& files) {
  Fix fix;
  plan_sysctls(examination, files, fix);
  plan_open_files(examination, files, fix);
  plan_conntrack(examination, facts, files, fix);
  for (const Check& check : examination.checks) {
    if (!wants_mending(check) || mended_here(check)) continue;
    fix.left_to_you.push_back(fmt::format("{} ({}): {}", check.name, check.value,
                                          check.mend.empty() ? check.why : check.mend));
  }
  return fix;
}

}  // namespace holdfast::doctor
