#pragma once

// What `holdfast doctor` says of certificates: whether a server could serve with them, and how
// long.

#include <cstdint>
#include <string>
#include <vector>

#include "doctor/needs.h"

namespace holdfast::commands {

// One that ends within so many days is to be renewed: most authorities give them for 90, and their
// tools renew a month before the end.
inline constexpr std::int64_t kDaysLeftWanted = 30;

// One check for each certificate, with the key of the same place: both can be read, they belong
// together, and it lasts. `unix_seconds`: now. As many keys as certificates.
std::vector<doctor::Check> check_certificates(const std::vector<std::string>& certs,
                                              const std::vector<std::string>& keys,
                                              std::int64_t unix_seconds);

}  // namespace holdfast::commands
