#include "doctor/nofile_settings.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <vector>

namespace holdfast::doctor {
namespace {

// systemd 240 and later, when nothing is configured.
constexpr OpenFilesLimit kSystemdDefault = {1024, 524288};

std::optional<std::uint64_t> limit_of(std::string_view text) {
  if (text == "-1") return kUnlimited;
  const auto numbers = parse_numbers(text);
  if (!numbers || numbers->size() != 1) return std::nullopt;
  return numbers->front();
}

std::string_view without_comment(std::string_view line) { return line.substr(0, line.find('#')); }

struct Ranked {
  std::optional<std::uint64_t> value;
  bool by_name = false;
};

void take(Ranked& current, std::uint64_t value, bool by_name) {
  if (current.value && current.by_name && !by_name) return;
  current = {value, by_name};
}

// Folders that hold units, the strongest last.
constexpr std::array kUnitFolders = {"/lib/systemd/system", "/usr/lib/systemd/system",
                                     "/usr/local/lib/systemd/system", "/run/systemd/system",
                                     "/etc/systemd/system"};

// "1024:524288", "65536", "infinity".
std::optional<OpenFilesLimit> parse_unit_limit(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto soft = limit_of(trimmed(text.substr(0, colon)));
  const auto hard =
      colon == std::string_view::npos ? soft : limit_of(trimmed(text.substr(colon + 1)));
  if (!soft || !hard) return std::nullopt;
  return OpenFilesLimit{*soft, *hard};
}

// The last assignment of `key` in one file of systemd's; nothing when there is none.
std::optional<OpenFilesLimit> find_assignment(std::string_view text, std::string_view key) {
  std::optional<OpenFilesLimit> found;
  for (std::string_view line : lines(text)) {
    line = trimmed(line);
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || line.starts_with(';') || equals == std::string_view::npos)
      continue;
    if (trimmed(line.substr(0, equals)) != key) continue;
    if (const auto limit = parse_unit_limit(trimmed(line.substr(equals + 1)))) found = limit;
  }
  return found;
}

void take_file(const RootedFiles& files, const std::string& path, std::string_view key,
               UnitSetting& setting) {
  const auto text = files.read(path);
  if (!text) return;
  if (const auto limit = find_assignment(*text, key)) {
    setting.limit = *limit;
    setting.said_by = path;
  }
}

// Drop-ins of all folders, ordered by name; of two with one name the stronger folder's counts.
std::vector<std::string> drop_ins(const RootedFiles& files,
                                  const std::vector<std::string>& folders) {
  std::map<std::string, std::string> by_name;
  for (const std::string& folder : folders) {
    for (const std::string& path : files.list(folder, ".conf")) {
      by_name[path.substr(path.rfind('/') + 1)] = path;
    }
  }
  std::vector<std::string> paths;
  for (auto& [name, path] : by_name) paths.push_back(path);
  return paths;
}

}  // namespace

LoginSetting read_login_setting(const RootedFiles& files, std::string_view user) {
  Ranked soft;
  Ranked hard;
  std::vector<std::string> paths = {"/etc/security/limits.conf"};
  for (auto& path : files.list("/etc/security/limits.d", ".conf")) paths.push_back(std::move(path));
  for (const std::string& path : paths) {
    const std::string text = files.read(path).value_or("");
    for (const std::string_view line : lines(text)) {
      const auto field = words(without_comment(line));
      if (field.size() != 4 || field[2] != "nofile") continue;
      const bool by_name = field[0] == user;
      const bool by_wildcard = field[0] == "*" && user != "root";
      const auto value = limit_of(field[3]);
      if (!value || !(by_name || by_wildcard)) continue;
      if (field[1] == "soft" || field[1] == "-") take(soft, *value, by_name);
      if (field[1] == "hard" || field[1] == "-") take(hard, *value, by_name);
    }
  }
  return {soft.value, hard.value};
}

UnitSetting read_unit_setting(const RootedFiles& files, std::string_view unit) {
  UnitSetting setting{false, kSystemdDefault, "systemd's default"};
  take_file(files, "/etc/systemd/system.conf", "DefaultLimitNOFILE", setting);
  for (const auto& path :
       drop_ins(files, {"/lib/systemd/system.conf.d", "/usr/lib/systemd/system.conf.d",
                        "/run/systemd/system.conf.d", "/etc/systemd/system.conf.d"})) {
    take_file(files, path, "DefaultLimitNOFILE", setting);
  }
  std::vector<std::string> folders;
  std::string unit_path;
  for (const char* folder : kUnitFolders) {
    folders.push_back(fmt::format("{}/{}.d", folder, unit));
    if (const auto path = fmt::format("{}/{}", folder, unit); files.exists(path)) unit_path = path;
  }
  setting.installed = !unit_path.empty();
  if (setting.installed) take_file(files, unit_path, "LimitNOFILE", setting);
  for (const auto& path : drop_ins(files, folders)) take_file(files, path, "LimitNOFILE", setting);
  return setting;
}

}  // namespace holdfast::doctor
