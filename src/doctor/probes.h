#pragma once

// Questions that only a try answers, asked of the machine we run on.

#include "doctor/facts.h"

namespace holdfast::doctor {

// Opens a few loopback connections of its own and looks whether nf_conntrack_count rises by as
// many; asks the kernel for an io_uring it does not mean to use, and for a private descriptor table
// on a thread that ends at once. Takes a few milliseconds and leaves no descriptor open. What fails
// is left unknown.
Probes probe_this_machine(const RootedFiles& files);

}  // namespace holdfast::doctor
