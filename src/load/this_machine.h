#pragma once

// What this machine is, what it allows, and what this process and its threads have used of it.

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "load/source_plan.h"
#include "net/address.h"

namespace holdfast::load {

struct MachineFacts {
  std::string host;
  std::string kernel;      // "Linux 6.18.5 x86_64"
  std::string cpu;         // "AMD EPYC 7763"; empty where unknown
  std::uint32_t cpus = 1;  // that this process may use
  std::uint64_t memory_bytes = 0;
};
MachineFacts machine_facts();

// net.ipv4.ip_local_port_range; Linux's default where it cannot be read.
PortRange local_port_range();

// All addresses, of the target's family and with port 0, of the interface that the route to
// `target` leaves by; the one that the kernel would choose first. Empty where there is no route.
std::vector<net::Address> addresses_towards(const net::Address& target);

// Whether a socket can be bound to this address; the error says how to add it.
Result<void> can_bind(const net::Address& address);

// CPU time of the whole process since it began.
struct ProcessUse {
  Duration user{0};
  Duration system{0};
};
ProcessUse process_use();
// Resident memory of this process now, in bytes.
std::uint64_t resident_bytes();

// CPU time of the calling thread since it began, and how long it waited for a CPU although it had
// work. A thread for which the two make up nearly all of the time that passed could not have done
// more.
struct ThreadUse {
  Duration on_cpu{0};
  Duration waiting{0};

  friend ThreadUse operator-(const ThreadUse& a, const ThreadUse& b) {
    return {a.on_cpu - b.on_cpu, a.waiting - b.waiting};
  }
};
ThreadUse thread_use();

// Seconds since 1970, in the wall clock's nanoseconds.
Duration wall_clock();

}  // namespace holdfast::load
