#pragma once

// Mends what an examination found, and takes it back. The invariant: the state file knows, at every
// moment, enough to undo whatever has been done so far; it is written before each change.
//
//   checks ──plan_fix──► Fix ──apply──► /proc/sys, drop-ins, state file ──undo──► as before

#include <string>
#include <vector>

#include "doctor/needs.h"
#include "doctor/rooted_files.h"

namespace holdfast::doctor {

inline constexpr std::string_view kStateFile = "/var/lib/holdfast/doctor-undo.json";
inline constexpr std::string_view kSysctlDropIn = "/etc/sysctl.d/90-holdfast.conf";
inline constexpr std::string_view kLimitsDropIn = "/etc/security/limits.d/90-holdfast.conf";
inline constexpr std::string_view kServiceDropIn =
    "/etc/systemd/system/holdfast.service.d/90-holdfast.conf";
inline constexpr std::string_view kModuleDropIn = "/etc/modprobe.d/90-holdfast.conf";
inline constexpr std::string_view kHashSizeFile = "/sys/module/nf_conntrack/parameters/hashsize";

// A file of the kernel's that takes effect when written.
struct RuntimeValue {
  std::string path;  // "/proc/sys/net/core/somaxconn"
  std::string name;  // as the operator knows it
  std::vector<std::uint64_t> values;
};
struct DropIn {
  std::string path;
  std::string text;
};
struct Fix {
  std::vector<RuntimeValue> runtime;
  std::vector<DropIn> drop_ins;
  // What is found wanting and cannot be mended from here, in words, with the reason.
  std::vector<std::string> left_to_you;
};

// What would mend every check that is low or advised against. Never lowers: a value that is higher
// already, or that an earlier drop-in of ours sets higher, stays. Reads what stands in our
// drop-ins; writes nothing.
Fix plan_fix(const Examination& examination, const Facts& facts, const RootedFiles& files);

// One line for each thing done and each thing that could not be done, in order.
struct Report {
  std::vector<std::string> done;
  std::vector<std::string> failed;
};
// Does it. What fails does not stop the rest. A second run with the same demand finds nothing to
// do.
Report apply(const Fix& fix, const RootedFiles& files);

// Restores each value that still is as apply() left it, removes the drop-ins and the folders made
// for them, and at last the state file. A value that somebody else has changed meanwhile stays, and
// is told. What fails stays in the state file for another try.
Report undo(const RootedFiles& files);

}  // namespace holdfast::doctor
