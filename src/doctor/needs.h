#pragma once

// Weighs what a machine has (Facts) against what N connections need. No reading, no writing: the
// same facts and the same demand give the same examination.

#include <cstdint>
#include <string>
#include <vector>

#include "doctor/facts.h"

namespace holdfast::doctor {

enum class Role : std::uint8_t {
  kServer,  // holds the connections
  kLoad,    // opens them from another machine: needs ports and source addresses too
  kBoth,    // both ends on this machine, over loopback
};

struct Demand {
  std::uint64_t connections = 100'000;
  Role role = Role::kServer;
  std::uint32_t workers = 0;  // 0: as many as needed
  bool tls = false;           // a server's connections are wss://
};

enum class Verdict : std::uint8_t {
  kOk,
  kAdvice,     // N fits, but more costly or less safely than it could
  kLow,        // N does not fit
  kWrong,      // cannot be used, however small N is
  kUnknown,    // the machine does not say
  kNotNeeded,  // has no part in this
};

// One sysctl that --fix would set.
struct Setting {
  std::string name;
  std::vector<std::uint64_t> values;
  friend bool operator==(const Setting&, const Setting&) = default;
};

struct Check {
  std::string name = {};   // a sysctl's name, or words
  std::string value = {};  // what the machine has
  std::string need = {};   // what the demand needs
  Verdict verdict = Verdict::kOk;
  std::string why = {};   // what it is for, and what happens below it
  std::string mend = {};  // the command that mends it; empty when there is nothing to mend

  std::vector<Setting> settings = {};   // what --fix sets
  std::uint64_t open_files = 0;         // RLIMIT_NOFILE that it configures; 0: none
  std::string open_files_user = {};     // whose: a login's, or the service's when empty
  std::uint64_t conntrack_buckets = 0;  // hash size that it configures; 0: none
};

struct Examination {
  Demand demand;
  std::uint64_t workers = 0;  // that the limit on open files makes of it
  std::vector<Check> checks;
  bool fits() const;  // no check is low or wrong
};

Examination examine(const Facts& facts, const Demand& demand);

// The open-files limit to configure: what distributions and container runtimes mean by "high",
// within fs.nr_open, since logins fail where limits.conf says more than that.
std::uint64_t open_files_wanted(const Facts& facts);

}  // namespace holdfast::doctor
