#pragma once

#include <string>

namespace holdfast::commands {

// "v0.1.0-12-gabcdef0" or "0.1.0" where there is no git; made at build time.
extern const char* const kGitDescription;

// What `holdfast --version` prints: version, compiler, and what the kernel allows this user
// (io_uring, private descriptor tables). Probes the kernel: takes a few milliseconds and opens
// descriptors that it closes again.
std::string version_text();

}  // namespace holdfast::commands
