#pragma once

// What the next login and the next start of the service will be allowed to open: RLIMIT_NOFILE as
// configured, which need not be what this process has. Follows limits.conf(5), systemd.exec(5),
// systemd-system.conf(5) and systemd.unit(5).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "doctor/rooted_files.h"

namespace holdfast::doctor {

// Files that one process may have open; kUnlimited when there is no bound.
struct OpenFilesLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const OpenFilesLimit&, const OpenFilesLimit&) = default;
};

struct LoginSetting {
  std::optional<std::uint64_t>
      soft;  // empty: no line says anything, so that the session inherits its limit
  std::optional<std::uint64_t> hard;
};
// What limits.conf and limits.d/*.conf (in the order of their names) give to `user`. A line for the
// user beats a line for
// "*", a later line an earlier one, and "*" is not meant for root. Lines for groups are not looked
// at.
LoginSetting read_login_setting(const RootedFiles& files, std::string_view user);

struct UnitSetting {
  bool installed = false;  // the unit's file was found
  OpenFilesLimit limit;    // what the service gets
  std::string said_by;     // the file that says so, or "systemd's default"
};
// LimitNOFILE of a service: its unit file, then its drop-ins; without any, the manager's
// DefaultLimitNOFILE.
UnitSetting read_unit_setting(const RootedFiles& files, std::string_view unit);

}  // namespace holdfast::doctor
